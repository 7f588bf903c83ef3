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
  Impl(const dnnl::memory::desc& desc, const dnnl::memory::desc& given)
      : desc(desc), given(given), bytes(desc.get_size()) {}
  dnnl::memory filter() const { return cpu::view(desc, bytes.data()); }

  dnnl::memory::desc desc, given;  // of the packed weights, and of those they were made from
  cpu::Scratch bytes;
  bool exact = true;  // the values are those given, only their order differs
};

namespace cpu {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using tag = memory::format_tag;

constexpr auto kF32 = memory::data_type::f32;
// Images in one Winograd call: its workspace holds the transformed input and output of all of them.
constexpr int64_t kWinogradBatch = 4;
// Bytes from which a filter is packed with the values it has, to be held once. What that costs is the
// scale in the epilogue: 1 to 3 % of the call for such filters, 5 to 30 % for the smallest.
constexpr int64_t kLargeFilter = 1 << 20;

struct Geometry {  // a problem in oneDNN's words
  memory::desc x, w, w_any, bias, y, channel;
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
          {{1, p.k, 1, 1}, kF32, tag::nhwc},
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
  bool scale, bias, residual;
  Activation activation;
  bool winograd;
  auto operator<=>(const FpropKey&) const = default;
};

using FpropDesc = dnnl::convolution_forward::primitive_desc;

struct Fprop {
  FpropDesc desc;
  dnnl::convolution_forward primitive{desc};
};

// The epilogue after the convolution, which has added the bias unless there is a scale.
dnnl::post_ops epilogue(const FpropKey& key, const Geometry& g) {
  dnnl::post_ops ops;
  if (key.scale) ops.append_binary(algorithm::binary_mul, g.channel);
  if (key.scale && key.bias) ops.append_binary(algorithm::binary_add, g.channel);
  if (key.residual) ops.append_sum();  // y holds it beforehand; other forms leave brgconv
  append(ops, key.activation);
  return ops;
}

FpropDesc fprop_desc(const FpropKey& key) {
  const auto& [p, scale, bias, residual, activation, winograd] = key;
  Geometry g = geometry(p, winograd ? tag::any : tag::nhwc);
  dnnl::post_ops ops = epilogue(key, g);
  auto kind = dnnl::prop_kind::forward_inference;
  auto how = winograd ? algorithm::convolution_winograd : algorithm::convolution_direct;
  dnnl::convolution_forward::desc desc =
      bias && !scale ? dnnl::convolution_forward::desc(kind, how, g.x, g.w_any, g.bias, g.y, g.stride,
                                                       g.dilation, g.pad_begin, g.pad_end)
                     : dnnl::convolution_forward::desc(kind, how, g.x, g.w_any, g.y, g.stride,
                                                       g.dilation, g.pad_begin, g.pad_end);
  FpropDesc pd(desc, attributes(ops), onednn_engine());
  note_implementation(pd.impl_info_str(), describe("fprop", p));
  return pd;
}

std::shared_ptr<const Fprop> fprop_for(const FpropKey& key) {
  static PrimitiveCache<FpropKey, Fprop> cache;
  return cache.get(key, [&] { return Fprop{fprop_desc(key)}; });
}

// Where Winograd pays: measured on ResNet and VGG shapes it is 1.3 to 2.5 times as fast as brgconv.
// On smaller maps too, but there filters are large, and its form of them is four times as large.
bool winograd_pays(const Conv2dProblem& p) {
  return p.r == 3 && p.s == 3 && p.stride_h == 1 && p.stride_w == 1 && p.dilation_h == 1 &&
         p.dilation_w == 1 && p.groups == 1 && p.c % 16 == 0 && p.k % 16 == 0 && p.c >= 32 &&
         p.k >= 32 && p.out_h() >= 20 && p.out_w() >= 20;
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

memory::desc given_filter(const Conv2dProblem& p) { return geometry(p, tag::nhwc).w; }

void scale_channels(const Conv2dProblem& p, const float* w, const float* scale, float* scaled) {
  const int64_t each = p.r * p.s * p.c / p.groups;
  for (int64_t channel = 0; channel < p.k; ++channel)
    for (int64_t i = 0; i < each; ++i) *scaled++ = *w++ * scale[channel];
}

// The weights, times `scale` (k) unless that is null, in the order of `wanted`.
std::shared_ptr<const PackedFilter::Impl> pack(const Conv2dProblem& p, const memory::desc& wanted,
                                               const float* w, const float* scale) {
  auto packed = std::make_shared<PackedFilter::Impl>(wanted, given_filter(p));
  const memory::desc& given = packed->given;
  Scratch scaled(scale ? given.get_size() : 0);
  if (scale) scale_channels(p, w, scale, static_cast<float*>(scaled.data()));
  memory source = view(given, scale ? scaled.data() : w);
  bool winograd = wanted.data.format_kind == dnnl_format_kind_wino;
  packed->exact = !scale && !winograd;
  if (winograd) {  // is only made from OIHW
    memory::desc oihw(given.dims(), kF32, tag::oihw);
    Scratch bytes(oihw.get_size());
    memory plain = view(oihw, bytes.data());
    reorder(source, plain);
    reorder(plain, packed->filter());
  } else {
    reorder(source, packed->filter());
  }
  return packed;
}

struct Filter {  // what one call reads: the caller's weights, or packed ones
  std::shared_ptr<const PackedFilter::Impl> owner;
  memory values;
};

Filter filter_for(const Conv2dProblem& p, const memory::desc& wanted, const float* w,
                  const float* scale, PackedFilter* packed, uint64_t version) {
  if (is_current(packed, wanted, version)) return {packed->impl, packed->impl->filter()};
  if (!packed && !scale && given_filter(p) == wanted) return {nullptr, view(wanted, w)};
  if (packed) packed->impl = nullptr;  // its memory serves the new one
  auto made = pack(p, wanted, w, scale);
  if (packed) packed->impl = made, packed->version = version;
  return {made, made->filter()};
}

// Whether the epilogue's scale is multiplied into the filter instead.
bool folds_scale(const Conv2dProblem& p, bool winograd) {
  return winograd || int64_t(sizeof(float)) * p.k * p.r * p.s * p.c / p.groups < kLargeFilter;
}

FpropKey key_of(const Conv2dProblem& p, const ConvEpilogue& e, bool winograd) {
  bool scale = e.scale && !folds_scale(p, winograd);
  return {p, scale, e.bias != nullptr, e.residual != nullptr, e.activation, winograd};
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
  FpropKey key = key_of(p, e, false);
  auto fprop = fprop_for(key);
  const auto& pd = fprop->desc;
  Filter filter =
      filter_for(p, pd.weights_desc(), w, key.scale ? nullptr : e.scale, packed, version);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, view(pd.src_desc(), x)},
                                            {DNNL_ARG_WEIGHTS, filter.values},
                                            {DNNL_ARG_DST, view(pd.dst_desc(), y)}};
  memory::desc channel = geometry(p, tag::nhwc).channel;
  if (key.scale) {  // post-operations 0 and 1, see epilogue()
    arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(0) | DNNL_ARG_SRC_1, view(channel, e.scale));
    if (e.bias)
      arguments.emplace(DNNL_ARG_ATTR_MULTIPLE_POST_OP(1) | DNNL_ARG_SRC_1, view(channel, e.bias));
  } else if (e.bias) {
    arguments.emplace(DNNL_ARG_BIAS, view(pd.bias_desc(), e.bias));
  }
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
    Filter filter = filter_for(p, pd.weights_desc(), w, e.scale, packed, version);
    Scratch blocked_x(pd.src_desc().get_size()), blocked_y(pd.dst_desc().get_size());
    memory source = view(pd.src_desc(), blocked_x.data());
    memory result = view(pd.dst_desc(), blocked_y.data());
    memory out = view(g.y, y + first * p.out_h() * p.out_w() * p.k);
    reorder(view(g.x, x + first * p.h * p.w * p.c), source);
    if (e.residual) reorder(out, result);
    std::unordered_map<int, memory> arguments{
        {DNNL_ARG_SRC, source}, {DNNL_ARG_WEIGHTS, filter.values}, {DNNL_ARG_DST, result}};
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

using DgradDesc = dnnl::convolution_backward_data::primitive_desc;

struct Dgrad {
  DgradDesc desc;
  dnnl::convolution_backward_data primitive{desc};
};

DgradDesc dgrad_desc(const Conv2dProblem& p) {
  Geometry g = geometry(p, tag::nhwc);
  DgradDesc pd(
      {algorithm::convolution_direct, g.x, g.w_any, g.y, g.stride, g.dilation, g.pad_begin,
       g.pad_end},
      attributes(), onednn_engine(), forward_hint(p));
  note_implementation(pd.impl_info_str(), describe("dgrad", p));
  return pd;
}

using WgradKey = std::tuple<Conv2dProblem, bool /*bias*/>;

using WgradDesc = dnnl::convolution_backward_weights::primitive_desc;

struct Wgrad {
  WgradDesc desc;
  dnnl::convolution_backward_weights primitive{desc};
};

WgradDesc wgrad_desc(const WgradKey& key) {
  const auto& [p, bias] = key;
  Geometry g = geometry(p, tag::nhwc);
  dnnl::convolution_backward_weights::desc desc =
      bias ? dnnl::convolution_backward_weights::desc(algorithm::convolution_direct, g.x, g.w_any,
                                                      g.bias, g.y, g.stride, g.dilation,
                                                      g.pad_begin, g.pad_end)
           : dnnl::convolution_backward_weights::desc(algorithm::convolution_direct, g.x, g.w_any,
                                                      g.y, g.stride, g.dilation, g.pad_begin,
                                                      g.pad_end);
  WgradDesc pd(desc, attributes(), onednn_engine(), forward_hint(p));
  note_implementation(pd.impl_info_str(), describe("wgrad", p));
  return pd;
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

std::function<void(void*)> unpacker(const PackedFilter& packed) {
  if (!packed.impl || !packed.impl->exact) return nullptr;
  return [impl = packed.impl](void* w) { reorder(impl->filter(), view(impl->given, w)); };
}

void conv2d_dgrad(const Conv2dProblem& p, const float* dy, const float* w, float* dx) {
  static PrimitiveCache<Conv2dProblem, Dgrad> cache;
  auto dgrad = cache.get(p, [&] { return Dgrad{dgrad_desc(p)}; });
  const auto& pd = dgrad->desc;
  Filter filter = filter_for(p, pd.weights_desc(), w, nullptr, nullptr, 0);
  execute(dgrad->primitive, pd.scratchpad_desc(),
          {{DNNL_ARG_DIFF_DST, view(pd.diff_dst_desc(), dy)},
           {DNNL_ARG_WEIGHTS, filter.values},
           {DNNL_ARG_DIFF_SRC, view(pd.diff_src_desc(), dx)}});
}

void conv2d_wgrad(const Conv2dProblem& p, const float* x, const float* dy, float* dw,
                  float* dbias) {
  static PrimitiveCache<WgradKey, Wgrad> cache;
  WgradKey key{p, dbias != nullptr};
  auto wgrad = cache.get(key, [&] { return Wgrad{wgrad_desc(key)}; });
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

void probe_conv2d() {
  Conv2dProblem block{.n = 8, .h = 14, .w = 14, .c = 64, .k = 64, .r = 3, .s = 3};
  block.pad_top = block.pad_left = block.pad_bottom = block.pad_right = 1;
  Conv2dProblem stem = block, narrow = block, depthwise = block;
  stem.c = 3, stem.stride_h = stem.stride_w = 2;
  narrow.r = narrow.s = 1, narrow.pad_top = narrow.pad_left = narrow.pad_bottom = narrow.pad_right = 0;
  depthwise.groups = 64;
  for (const Conv2dProblem& p : {block, stem, narrow, depthwise}) {
    fprop_desc({p, false, true, false, Activation::relu, false});
    dgrad_desc(p);
    wgrad_desc({p, false});
  }
}

std::vector<std::string> reference_implementations() { return noted_reference_implementations(); }

}  // namespace cpu
}  // namespace graft
