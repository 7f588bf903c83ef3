#include "layers/conv2d.h"

#include "layers/conv_norm_act.h"

namespace graft {

Conv2d::Conv2d(int64_t in, int64_t out, Conv2dOptions o)
    : weight({out, o.kernel.h, o.kernel.w, in / o.groups}, FileLayout::filter_oihw) {
  GRAFT_CHECK(o.groups > 0 && in % o.groups == 0 && out % o.groups == 0,
              "conv2d: {} -> {} channels in {} groups", in, out, o.groups);
  if (o.bias) bias = Param({out});
  spec = {{o.stride, o.stride},
          {o.padding.h, o.padding.w, o.padding.h, o.padding.w},
          {o.dilation, o.dilation},
          o.groups};
}

Tensor Conv2d::forward(Tensor x) {
  return conv_norm_act(std::move(x), *this, nullptr, Activation::none);
}

std::string Conv2d::describe() const {
  std::string text = fmt::format("Conv2d {} -> {}, {}x{}", weight.dim(3) * spec.groups,
                                 weight.dim(0), weight.dim(1), weight.dim(2));
  if (spec.stride[0] > 1) text += fmt::format(", stride {}", spec.stride[0]);
  if (spec.groups > 1) text += fmt::format(", {} groups", spec.groups);
  return text;
}

}  // namespace graft
