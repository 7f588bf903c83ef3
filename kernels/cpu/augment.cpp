#include "kernels/augment.h"

#include <cmath>

#include "kernels/parallel.h"

namespace graft::cpu {

void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, float* y) {
  float table[3][256];  // there are only 768 different results
  const float inverse = std::round(1.0f / n.scale);
  const bool divide = n.scale == 1.0f / inverse;
  for (int c = 0; c < 3; ++c) {
    for (int value = 0; value < 256; ++value) {
      volatile float x = divide ? float(value) / inverse : float(value) * n.scale;  // rounded here
      table[c][value] = (x - n.mean[c]) / n.std[c];
    }
  }
  const int first = n.bgr ? 2 : 0, last = 2 - first;
  parallel_for(count, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* from = pixels + 3 * i;
      float* to = y + 3 * i;
      to[0] = table[0][from[first]];
      to[1] = table[1][from[1]];
      to[2] = table[2][from[last]];
    }
  });
}

}  // namespace graft::cpu
