// y = activation(norm(conv(x)) + residual): the block every convolutional network is made of.
// When nothing in it learns and the norm uses its running statistics, it runs as one kernel: the
// norm becomes a scale and a bias, the filter is packed once and kept until one of them changes.
#pragma once
#include "layers/batch_norm.h"
#include "layers/conv2d.h"

namespace graft {

// norm may be null. residual: like the result, or undefined.
Tensor conv_norm_act(Tensor x, Conv2d& conv, BatchNorm2d* norm, Activation activation,
                     Tensor residual = {});

}  // namespace graft
