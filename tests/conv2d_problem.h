// A convolution over square images, for tests.
#pragma once
#include "kernels/conv2d.h"

namespace graft::cuda {

inline Conv2dProblem square(int64_t n, int64_t side, int64_t c, int64_t k, int64_t filter,
                            int stride = 1, int pad = 0, int dilation = 1, int groups = 1) {
  Conv2dProblem p{.n = n, .h = side, .w = side, .c = c, .k = k, .r = filter, .s = filter};
  p.stride_h = p.stride_w = stride;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = pad;
  p.dilation_h = p.dilation_w = dilation;
  p.groups = groups;
  return p;
}

}  // namespace graft::cuda
