// Two images in one, on their way from pixels to what a network eats (kernels/augment.h): first the
// pixels in a box become the partner's (CutMix: Yun et al., ICCV 2019), then image and partner are
// added up, each by its share (mixup: Zhang et al., ICLR 2018).
#pragma once
#include <cstdint>

#include "kernels/augment.h"

namespace graft {

// What differs from batch to batch lies where the pixels are: work that was captured finds it
// there.
struct MixProblem {
  int64_t images;
  int height, width;        // 3 height width is an int, too
  const int32_t* partners;  // (images): the number of each one's partner, which may be its own
  const float* share;       // of each image itself; its partner has the rest
  const int32_t* box;       // (4): x0, y0, x1, y1, for pixels x0 <= x < x1, y0 <= y < y1
};

namespace cpu {

// pixels (images, height, width, 3) u8 -> y, likewise.
void normalize_mixed(const Normalization& n, const MixProblem& p, const uint8_t* pixels, float* y);

}  // namespace cpu

namespace cuda {

// As above, in device memory, and with the same bits before they are rounded to T: float, bf16 or
// f16.
template <class T>
void normalize_mixed(const Normalization& n, const MixProblem& p, const uint8_t* pixels, T* y,
                     Stream stream);

}  // namespace cuda
}  // namespace graft
