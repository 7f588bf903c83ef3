#include "layers/conv2d.h"

#include <algorithm>

#include "layers/conv_norm_act.h"

namespace graft {

Conv2d::Conv2d(int64_t in, int64_t out, Conv2dOptions o)
    : weight({out, o.kernel.h, o.kernel.w, in / o.groups}, FileLayout::filter_oihw),
      same(o.same) {
  GRAFT_CHECK(o.groups > 0 && in % o.groups == 0 && out % o.groups == 0,
              "conv2d: {} -> {} channels in {} groups", in, out, o.groups);
  if (o.bias) bias = Param({out});
  spec = {{o.stride, o.stride},
          {o.padding.h, o.padding.w, o.padding.h, o.padding.w},
          {o.dilation, o.dilation},
          o.groups};
}

ConvSpec Conv2d::spec_for(const Tensor& x) const {
  ConvSpec padded = spec;
  if (!same || x.rank() != 4) return padded;
  for (int side = 0; side < 2; ++side) {
    const int64_t pixels = x.dim(1 + side), stride = spec.stride[side];
    const int64_t reach = spec.dilation[side] * (weight.dim(1 + side) - 1) + 1;
    const int64_t out = (pixels + stride - 1) / stride;
    const int64_t wanted = std::max<int64_t>(0, (out - 1) * stride + reach - pixels);
    padded.padding[side] = int(wanted / 2);
    padded.padding[side + 2] = int(wanted - wanted / 2);
  }
  return padded;
}

Tensor Conv2d::forward(Tensor x) {
  return conv_norm_act(std::move(x), *this, nullptr, Activation::none);
}

std::string Conv2d::describe() const {
  std::string text = fmt::format("Conv2d {} -> {}, {}x{}", weight.dim(3) * spec.groups,
                                 weight.dim(0), weight.dim(1), weight.dim(2));
  if (spec.stride[0] > 1) text += fmt::format(", stride {}", spec.stride[0]);
  if (same) text += ", same";
  if (spec.groups > 1) text += fmt::format(", {} groups", spec.groups);
  return text;
}

}  // namespace graft
