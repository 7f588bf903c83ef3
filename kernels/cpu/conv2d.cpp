// Convolution on oneDNN. Activations stay NHWC from end to end: oneDNN's brgconv (fprop) and jit
// (dgrad, wgrad) kernels run at full speed on it, also where a `forward_training` primitive would
// have fallen back to a reference loop, so fprop always asks for inference. Filters are repacked
// into whatever order the kernel wants. Filters that stay (PackedFilter) may also use Winograd
// F(4x4, 3x3) (Lavin & Gray, CVPR 2016): 2.25x to 4x fewer multiplications.
#include "kernels/conv2d.h"

#include <cstring>
#include <optional>
#include <tuple>

#include "kernels/cpu/onednn.h"

namespace graft {

struct PackedFilter::Impl {
  dnnl::memory::desc desc;
  dnnl::memory filter;  // owns its bytes
};

PackedFilter::PackedFilter() = default;
PackedFilter::~PackedFilter() = default;
PackedFilter::PackedFilter(PackedFilter&&) noexcept = default;
PackedFilter& PackedFilter::operator=(PackedFilter&&) noexcept = default;

namespace cpu {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using tag = memory::format_tag;

constexpr auto kF32 = memory::data_type::f32;
// Images in one Winograd call: its workspace holds the transformed input and output of all of them.
constexpr int64_t kWinogradBatch = 4;

struct Geometry {  // a problem in oneDNN's words
  memory::desc x, w, w_any, bias, y;
  memory::dims stride, dilation, pad_begin, pad_end;
};

Geometry geometry(const Conv2dProblem& p, tag activations) {
  memory::dims filter = p.groups == 1
                            ? memory::dims{p.k, p.c, p.r, p.s}
                            : memory::dims{p.groups, p.k / p.groups, p.c / p.groups, p.r, p.s};
  return {{{p.n, p.c, p.h, p.w}, kF32, activations},
          {filter, kF32, p.groups == 1 ? tag::ohwi : tag::gohwi},
          {filter, kF32, tag::any},
          {{p.k}, kF32, tag::x},
          {{p.n, p.k, p.out_h(), p.out_w()}, kF32, activations},
          {p.stride_h, p.stride_w},
          {p.dilation_h - 1, p.dilation_w - 1},
          {p.pad_top, p.pad_left},
          {p.pad_bottom, p.pad_right}};
}

std::string describe(const char* kernel, const Conv2dProblem& p) {
  auto number = [](int64_t v) { return std::to_string(v); };
  return std::string(kernel) + " n" + number(p.n) + " h" + number(p.h) + " w" + number(p.w) + " c" +
         number(p.c) + " k" + number(p.k) + " " + number(p.r) + "x" + number(p.s) + " stride " +
         number(p.stride_h) + " dilation " + number(p.dilation_h) + " groups " + number(p.groups);
}

void append(dnnl::post_ops& ops, Activation a) {
  switch (a) {
    case Activation::none: return;
    case Activation::relu: return ops.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
    case Activation::relu6: return ops.append_eltwise(1, algorithm::eltwise_clip, 0, 6);
    case Activation::sigmoid: return ops.append_eltwise(1, algorithm::eltwise_logistic, 0, 0);
    case Activation::silu: return ops.append_eltwise(1, algorithm::eltwise_swish, 1, 0);
    case Activation::gelu: return ops.append_eltwise(1, algorithm::eltwise_gelu_erf, 0, 0);
    case Activation::hardswish: return ops.append_eltwise(1, algorithm::eltwise_hardswish, 0, 0);
    case Activation::hardsigmoid:
      ops.append_eltwise(1, algorithm::eltwise_linear, 1.0f / 6, 0.5f);
      return ops.append_eltwise(1, algorithm::eltwise_clip, 0, 1);
  }
}

// ---- fprop ------------------------------------------------------------------------------------

struct FpropKey {
  Conv2dProblem problem;
  bool bias, residual;
  Activation activation;
  bool winograd;
  auto operator<=>(const FpropKey&) const = default;
};

struct Fprop {
  dnnl::convolution_forward::primitive_desc desc;
  dnnl::convolution_forward primitive;
};

Fprop make_fprop(const FpropKey& key) {
  const auto& [p, bias, residual, activation, winograd] = key;
  Geometry g = geometry(p, winograd ? tag::any : tag::nhwc);
  dnnl::post_ops ops;
  if (residual) ops.append_sum();  // y holds the residual beforehand; other forms leave brgconv
  append(ops, activation);
  dnnl::convolution_forward::desc desc =
      bias ? dnnl::convolution_forward::desc(
                 dnnl::prop_kind::forward_inference,
                 winograd ? algorithm::convolution_winograd : algorithm::convolution_direct, g.x,
                 g.w_any, g.bias, g.y, g.stride, g.dilation, g.pad_begin, g.pad_end)
           : dnnl::convolution_forward::desc(
                 dnnl::prop_kind::forward_inference,
                 winograd ? algorithm::convolution_winograd : algorithm::convolution_direct, g.x,
                 g.w_any, g.y, g.stride, g.dilation, g.pad_begin, g.pad_end);
  dnnl::convolution_forward::primitive_desc pd(desc, attributes(ops), onednn_engine());
  note_implementation(pd.impl_info_str(), describe("fprop", p));
  return {pd, dnnl::convolution_forward(pd)};
}

std::shared_ptr<const Fprop> fprop_for(const FpropKey& key) {
  static PrimitiveCache<FpropKey, Fprop> cache;
  return cache.get(key, [&] { return make_fprop(key); });
}

// Where Winograd pays: measured on ResNet and VGG shapes it is 1.3 to 2.5 times as fast as brgconv.
bool winograd_pays(const Conv2dProblem& p) {
  return p.r == 3 && p.s == 3 && p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 &&
         p.dilation_w == 1 && p.groups == 1 && p.c % 16 == 0 && p.k % 16 == 0 && p.c >= 32 &&
         p.k >= 32 && p.out_h() >= 12 && p.out_w() >= 12;
}

bool winograd_exists(const FpropKey& key) {
  static PrimitiveCache<FpropKey, bool> known;
  return *known.get(key, [&] {
    try {
      fprop_for(key);
      return true;
    } catch (const dnnl::error& e) {
      if (e.status != dnnl_unimplemented) throw;
      return false;
    }
  });
}

bool is_current(const PackedFilter* packed, const memory::desc& wanted, uint64_t version) {
  return packed && packed->impl && packed->version == version && packed->impl->desc == wanted;
}

// The filter in the order of `wanted`: taken from `packed` when it is current, else reordered.
memory packed_filter(const memory::desc& given, const memory::desc& wanted, const float* w,
                     PackedFilter* packed, uint64_t version) {
  if (is_current(packed, wanted, version)) return packed->impl->filter;
  memory source = view(given, w);
  if (given == wanted && !packed) return source;
  memory filter(wanted, onednn_engine());
  if (wanted.data.format_kind == dnnl_format_kind_wino) {  // is only made from OIHW
    memory plain({given.dims(), kF32, tag::oihw}, onednn_engine());
    reorder(source, plain);
    reorder(plain, filter);
  } else {
    reorder(source, filter);
  }
  if (packed) {
    packed->impl = std::make_unique<PackedFilter::Impl>(PackedFilter::Impl{wanted, filter});
    packed->version = version;
  }
  return filter;
}

FpropKey key_of(const Conv2dProblem& p, const ConvEpilogue& e, bool winograd) {
  return {p, e.bias != nullptr, e.residual != nullptr, e.activation, winograd};
}

// Winograd only for filters that stay: transforming them costs more than it saves in one call.
FpropKey choose(const Conv2dProblem& p, const ConvEpilogue& e, bool filter_stays) {
  if (filter_stays && winograd_pays(p)) {
    Conv2dProblem part = p;
    part.n = std::min(kWinogradBatch, p.n);
    if (winograd_exists(key_of(part, e, true))) return key_of(part, e, true);
  }
  return key_of(p, e, false);
}

void run_direct(const Conv2dProblem& p, const float* x, const float* w, const ConvEpilogue& e,
                float* y, PackedFilter* packed, uint64_t version) {
  auto fprop = fprop_for(key_of(p, e, false));
  const auto& pd = fprop->desc;
  memory filter =
      packed_filter(geometry(p, tag::nhwc).w, pd.weights_desc(), w, packed, version);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, view(pd.src_desc(), x)},
                                            {DNNL_ARG_WEIGHTS, filter},
                                            {DNNL_ARG_DST, view(pd.dst_desc(), y)}};
  if (e.bias) arguments.emplace(DNNL_ARG_BIAS, view(pd.bias_desc(), e.bias));
  execute(fprop->primitive, pd.scratchpad_desc(), std::move(arguments));
}

// A few images at a time: reordered into the kernel's blocked layout, convolved, reordered back,
// all while they are still in the cache.
void run_winograd(const Conv2dProblem& whole, const float* x, const float* w,
                  const ConvEpilogue& e, float* y, PackedFilter* packed, uint64_t version) {
  for (int64_t first = 0; first < whole.n; first += kWinogradBatch) {
    Conv2dProblem p = whole;
    p.n = std::min(kWinogradBatch, whole.n - first);
    auto fprop = fprop_for(key_of(p, e, true));
    const auto& pd = fprop->desc;
    Geometry g = geometry(p, tag::nhwc);
    memory filter = packed_filter(g.w, pd.weights_desc(), w, packed, version);
    Scratch blocked_x(pd.src_desc().get_size()), blocked_y(pd.dst_desc().get_size());
    memory source = view(pd.src_desc(), blocked_x.data());
    memory result = view(pd.dst_desc(), blocked_y.data());
    memory out = view(g.y, y + first * p.out_h() * p.out_w() * p.k);
    reorder(view(g.x, x + first * p.h * p.w * p.c), source);
    if (e.residual) reorder(out, result);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, filter}, {DNNL_ARG_DST, result}};
    if (e.bias) arguments.emplace(DNNL_ARG_BIAS, view(pd.bias_desc(), e.bias));
    execute(fprop->primitive, pd.scratchpad_desc(), std::move(arguments));
    reorder(result, out);
  }
}

// ---- gradients --------------------------------------------------------------------------------

// The forward description that oneDNN's gradient descriptions want as a hint.
dnnl::convolution_forward::primitive_desc forward_hint(const Conv2dProblem& p) {
  Geometry g = geometry(p, tag::any);
  return {{dnnl::prop_kind::forward_training, algorithm::convolution_direct, g.x, g.w_any, g.y,
           g.stride, g.dilation, g.pad_begin, g.pad_end},
          onednn_engine()};
}

struct Dgrad {
  dnnl::convolution_backward_data::primitive_desc desc;
  dnnl::convolution_backward_data primitive;
};

Dgrad make_dgrad(const Conv2dProblem& p) {
  Geometry g = geometry(p, tag::nhwc);
  dnnl::convolution_backward_data::primitive_desc pd(
      {algorithm::convolution_direct, g.x, g.w_any, g.y, g.stride, g.dilation, g.pad_begin,
       g.pad_end},
      attributes(), onednn_engine(), forward_hint(p));
  note_implementation(pd.impl_info_str(), describe("dgrad", p));
  return {pd, dnnl::convolution_backward_data(pd)};
}

using WgradKey = std::tuple<Conv2dProblem, bool /*bias*/>;

struct Wgrad {
  dnnl::convolution_backward_weights::primitive_desc desc;
  dnnl::convolution_backward_weights primitive;
};

Wgrad make_wgrad(const WgradKey& key) {
  const auto& [p, bias] = key;
  Geometry g = geometry(p, tag::nhwc);
  dnnl::convolution_backward_weights::desc desc =
      bias ? dnnl::convolution_backward_weights::desc(algorithm::convolution_direct, g.x, g.w_any,
                                                      g.bias, g.y, g.stride, g.dilation,
                                                      g.pad_begin, g.pad_end)
           : dnnl::convolution_backward_weights::desc(algorithm::convolution_direct, g.x, g.w_any,
                                                      g.y, g.stride, g.dilation, g.pad_begin,
                                                      g.pad_end);
  dnnl::convolution_backward_weights::primitive_desc pd(desc, attributes(), onednn_engine(),
                                                        forward_hint(p));
  note_implementation(pd.impl_info_str(), describe("wgrad", p));
  return {pd, dnnl::convolution_backward_weights(pd)};
}

}  // namespace

void conv2d_fprop(const Conv2dProblem& p, const float* x, const float* w, const ConvEpilogue& e,
                  float* y, PackedFilter* packed, uint64_t version) {
  if (e.residual && e.residual != y)
    std::memcpy(y, e.residual, sizeof(float) * size_t(p.n * p.out_h() * p.out_w() * p.k));
  bool winograd = choose(p, e, packed != nullptr).winograd;
  (winograd ? run_winograd : run_direct)(p, x, w, e, y, packed, version);
}

bool conv2d_packed(const Conv2dProblem& p, const ConvEpilogue& e, const PackedFilter& packed,
                   uint64_t version) {
  FpropKey key = choose(p, e, true);
  auto current = [&] {
    return is_current(&packed, fprop_for(key)->desc.weights_desc(), version);
  };
  if (!current()) return false;
  int64_t rest = p.n % key.problem.n;  // the last part of a batch that Winograd takes in parts
  if (rest == 0) return true;
  key.problem.n = rest;
  return current();
}

void conv2d_dgrad(const Conv2dProblem& p, const float* dy, const float* w, float* dx) {
  static PrimitiveCache<Conv2dProblem, Dgrad> cache;
  auto dgrad = cache.get(p, [&] { return make_dgrad(p); });
  const auto& pd = dgrad->desc;
  memory filter = packed_filter(geometry(p, tag::nhwc).w, pd.weights_desc(), w, nullptr, 0);
  execute(dgrad->primitive, pd.scratchpad_desc(),
          {{DNNL_ARG_DIFF_DST, view(pd.diff_dst_desc(), dy)},
           {DNNL_ARG_WEIGHTS, filter},
           {DNNL_ARG_DIFF_SRC, view(pd.diff_src_desc(), dx)}});
}

void conv2d_wgrad(const Conv2dProblem& p, const float* x, const float* dy, float* dw,
                  float* dbias) {
  static PrimitiveCache<WgradKey, Wgrad> cache;
  auto wgrad = cache.get({p, dbias != nullptr}, [&] { return make_wgrad({p, dbias != nullptr}); });
  const auto& pd = wgrad->desc;
  memory target = view(geometry(p, tag::nhwc).w, dw);
  bool direct = pd.diff_weights_desc() == target.get_desc();
  Scratch blocked(direct ? 0 : pd.diff_weights_desc().get_size());
  memory filter = direct ? target : view(pd.diff_weights_desc(), blocked.data());
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, view(pd.src_desc(), x)},
                                            {DNNL_ARG_DIFF_DST, view(pd.diff_dst_desc(), dy)},
                                            {DNNL_ARG_DIFF_WEIGHTS, filter}};
  if (dbias) arguments.emplace(DNNL_ARG_DIFF_BIAS, view(pd.diff_bias_desc(), dbias));
  execute(wgrad->primitive, pd.scratchpad_desc(), std::move(arguments));
  if (!direct) reorder(filter, target);
}

std::vector<std::string> reference_implementations() { return noted_reference_implementations(); }

}  // namespace cpu
}  // namespace graft
