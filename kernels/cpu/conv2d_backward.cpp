// The two gradients of the convolution on oneDNN, whose jit kernels take NHWC as it is. Measured on
// two cores, shapes of ResNet-50 behind its first layer: 249 to 357 GFLOP/s (bench/RESULTS.md,
// Operations).
#include "kernels/cpu/conv2d_filter.h"

namespace graft::cpu {
namespace {

using dnnl::algorithm;
using dnnl::memory;

// The forward description that oneDNN's gradient descriptions want as a hint.
dnnl::convolution_forward::primitive_desc forward_hint(const Conv2dProblem& p) {
  Geometry g = geometry(p, memory::format_tag::any);
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
  Geometry g = geometry(p);
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
  Geometry g = geometry(p);
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

void probe_backward(const Conv2dProblem& p) {
  dgrad_desc(p);
  wgrad_desc({p, false});
}

void conv2d_dgrad(const Conv2dProblem& p, const float* dy, const float* w, float* dx) {
  static PrimitiveCache<Conv2dProblem, Dgrad> cache;
  auto dgrad = cache.get(p, [&] { return Dgrad{dgrad_desc(p)}; });
  const auto& pd = dgrad->desc;
  Filter filter = filter_for(p, pd.weights_desc(), w);
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
  memory target = view(geometry(p).w, dw);
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

}  // namespace graft::cpu
