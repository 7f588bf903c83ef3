// Filters in the order that oneDNN's kernel wants: of one call, or kept from call to call while the
// weights stay (PackedFilter), times the scale of a norm behind them where there is one.
#include "kernels/cpu/conv2d_filter.h"

#include "kernels/elementwise.h"

namespace graft {
namespace cpu {
namespace {

using dnnl::memory;

void scale_channels(const Conv2dProblem& p, const float* w, const float* scale, float* scaled) {
  const int64_t each = p.r * p.s * p.c / p.groups;
  for (int64_t k = 0; k < p.k; ++k) cpu::scale(each, scale[k], w + k * each, scaled + k * each);
}

// The weights, times `scale` (k) unless that is null, in the order of `wanted`.
std::shared_ptr<const PackedFilter::Impl> pack(const Conv2dProblem& p, const memory::desc& wanted,
                                               const float* w, const float* scale) {
  auto packed = std::make_shared<PackedFilter::Impl>(wanted, geometry(p).w);
  const memory::desc& given = packed->given;
  Scratch scaled(scale ? given.get_size() : 0);
  if (scale) scale_channels(p, w, scale, static_cast<float*>(scaled.data()));
  memory source = view(given, scale ? scaled.data() : w);
  bool winograd = wanted.data.format_kind == dnnl_format_kind_wino;
  packed->exact = !scale && !winograd && wanted.data.data_type == dnnl_f32;
  if (winograd) {  // is only made from OIHW
    memory::desc oihw(given.dims(), memory::data_type::f32, memory::format_tag::oihw);
    Scratch bytes(oihw.get_size());
    memory plain = view(oihw, bytes.data());
    reorder(source, plain);
    reorder(plain, packed->filter());
  } else {
    reorder(source, packed->filter());
  }
  return packed;
}

}  // namespace

bool is_current(const PackedFilter* packed, const memory::desc& wanted, uint64_t version) {
  return packed && packed->impl && packed->version == version && packed->impl->desc == wanted;
}

Filter filter_for(const Conv2dProblem& p, const memory::desc& wanted, const float* w,
                  const float* scale, PackedFilter* packed, uint64_t version) {
  if (is_current(packed, wanted, version)) return {packed->impl, packed->impl->filter()};
  if (!packed && !scale && geometry(p).w == wanted) return {nullptr, view(wanted, w)};
  if (packed) packed->impl = nullptr;  // its memory serves the new one
  auto made = pack(p, wanted, w, scale);
  if (packed) packed->impl = made, packed->version = version;
  return {made, made->filter()};
}

std::function<void(void*)> unpacker(const PackedFilter& packed) {
  if (!packed.impl || !packed.impl->exact) return nullptr;
  return [impl = packed.impl](void* w) { reorder(impl->filter(), view(impl->given, w)); };
}

}  // namespace cpu
}  // namespace graft
