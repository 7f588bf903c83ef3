// The forward convolution on oneDNN. Activations stay NHWC from end to end: oneDNN's brgconv kernels
// run at full speed on it, also where a `forward_training` primitive would have fallen back to a
// reference loop, so this always asks for inference. Filters that stay (PackedFilter) may also use
// Winograd F(4x4, 3x3) (Lavin & Gray, CVPR 2016): 2.25x to 4x fewer multiplications. Measured on two
// cores, shapes of ResNet-50: 309 to 374 GFLOP/s (bench/RESULTS.md, Operations).
#include <cstring>

#include "kernels/bf16_products.h"
#include "kernels/cpu/conv2d_filter.h"

namespace graft::cpu {
namespace {

using dnnl::algorithm;
using dnnl::memory;
using tag = memory::format_tag;

// Images in one Winograd call: its workspace holds the transformed input and output of all of them.
constexpr int64_t kWinogradBatch = 4;
// Bytes from which a filter is packed with the values it has, to be held once. What that costs is the
// scale in the epilogue: 1 to 7 % of the call for such filters, up to 34 % for the smallest.
constexpr int64_t kLargeFilter = 1 << 20;

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

struct FpropKey {
  Conv2dProblem problem;
  bool scale, bias, residual;
  Activation activation;
  bool winograd, bf16;
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
  const auto& [p, scale, bias, residual, activation, winograd, bf16] = key;
  Geometry g = geometry(p, winograd ? tag::any : tag::nhwc,
                        bf16 ? memory::data_type::bf16 : memory::data_type::f32);
  dnnl::post_ops ops = epilogue(key, g);
  auto kind = dnnl::prop_kind::forward_inference;
  auto how = winograd ? algorithm::convolution_winograd : algorithm::convolution_direct;
  dnnl::convolution_forward::desc desc =
      bias && !scale ? dnnl::convolution_forward::desc(kind, how, g.x, g.w_any, g.bias, g.y, g.stride,
                                                       g.dilation, g.pad_begin, g.pad_end)
                     : dnnl::convolution_forward::desc(kind, how, g.x, g.w_any, g.y, g.stride,
                                                       g.dilation, g.pad_begin, g.pad_end);
  FpropDesc pd(desc, attributes(ops), onednn_engine());
  if (!bf16) note_implementation(pd.impl_info_str(), describe("fprop", p));  // bf16: see exists()
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

// Whether oneDNN has it here, and not as a reference loop.
bool exists(const FpropKey& key) {
  static PrimitiveCache<FpropKey, bool> known;
  return *known.get(key, [&] {
    try {
      return std::string(fprop_for(key)->desc.impl_info_str()).find("ref") == std::string::npos;
    } catch (const dnnl::error& e) {
      if (e.status != dnnl_unimplemented) throw;
      return false;
    }
  });
}

// Whether the epilogue's scale is multiplied into the filter instead: where that is not exact anyway.
bool folds_scale(const Conv2dProblem& p, bool winograd, bool bf16) {
  return winograd || bf16 || int64_t(sizeof(float)) * p.k * p.r * p.s * p.c / p.groups < kLargeFilter;
}

FpropKey key_of(const Conv2dProblem& p, const ConvEpilogue& e, bool winograd, bool bf16) {
  bool scale = e.scale && !folds_scale(p, winograd, bf16);
  return {p, scale, e.bias != nullptr, e.residual != nullptr, e.activation, winograd, bf16};
}

// Winograd and bf16 only for filters that stay: transforming them costs more than it saves in one call.
FpropKey choose(const Conv2dProblem& p, const ConvEpilogue& e, const PackedFilter* stays) {
  if (stays && stays->bf16 && rounds_to_bf16(p.c, p.k, p.groups) && exists(key_of(p, e, false, true)))
    return key_of(p, e, false, true);
  if (stays && winograd_pays(p)) {
    Conv2dProblem part = p;
    part.n = std::min(kWinogradBatch, p.n);
    if (exists(key_of(part, e, true, false))) return key_of(part, e, true, false);
  }
  return key_of(p, e, false, false);
}

void run_direct(const FpropKey& key, const float* x, const float* w, const ConvEpilogue& e, float* y,
                PackedFilter* packed, uint64_t version) {
  const Conv2dProblem& p = key.problem;
  auto fprop = fprop_for(key);
  const auto& pd = fprop->desc;
  Filter filter =
      filter_for(p, pd.weights_desc(), w, key.scale ? nullptr : e.scale, packed, version);
  Scratch rounded(key.bf16 ? pd.src_desc().get_size() : 0);
  memory source = view(pd.src_desc(), key.bf16 ? rounded.data() : x);
  if (key.bf16) reorder(view(geometry(p).x, x), source);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, source},
                                            {DNNL_ARG_WEIGHTS, filter.values},
                                            {DNNL_ARG_DST, view(pd.dst_desc(), y)}};
  memory::desc channel = geometry(p).channel;
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
    auto fprop = fprop_for(key_of(p, e, true, false));
    const auto& pd = fprop->desc;
    Geometry g = geometry(p);
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

}  // namespace

// The products of two bf16 take half the time where the processor has them (avx512_bf16, amx); x is
// converted on its way. Depthwise filters and the first layer have too few of them.
bool rounds_to_bf16(int64_t c, int64_t k, int groups) { return groups == 1 && c % 16 == 0 && k % 16 == 0; }

Bf16Products bf16_products() {
  const Conv2dProblem usual{.n = 1, .h = 14, .w = 14, .c = 64, .k = 64, .r = 1, .s = 1};
  if (!exists(key_of(usual, {}, false, true))) return Bf16Products::none;
  const auto own = unsigned(dnnl::cpu_isa::avx512_core_bf16);  // a bit for each of the parts
  const bool has = (unsigned(dnnl::get_effective_cpu_isa()) & own) == own;
  return has ? Bf16Products::native : Bf16Products::emulated;
}

void probe_fprop(const Conv2dProblem& p) { fprop_desc({p, false, true, false, Activation::relu, false, false}); }

void conv2d_fprop(const Conv2dProblem& p, const float* x, const float* w, const ConvEpilogue& e,
                  float* y, PackedFilter* packed, uint64_t version) {
  if (e.residual && e.residual != y)
    std::memcpy(y, e.residual, sizeof(float) * size_t(p.n * p.out_h() * p.out_w() * p.k));
  FpropKey key = choose(p, e, packed);
  if (key.winograd) run_winograd(p, x, w, e, y, packed, version);
  else run_direct(key, x, w, e, y, packed, version);
}

bool conv2d_packed(const Conv2dProblem& p, const ConvEpilogue& e, const PackedFilter& packed,
                   uint64_t version) {
  FpropKey key = choose(p, e, &packed);
  auto current = [&] {
    return is_current(&packed, fprop_for(key)->desc.weights_desc(), version);
  };
  if (!current()) return false;
  int64_t rest = p.n % key.problem.n;  // the last part of a batch that Winograd takes in parts
  if (rest == 0) return true;
  key.problem.n = rest;
  return current();
}

}  // namespace graft::cpu
