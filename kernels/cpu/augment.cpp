// Pixels of bytes to normalised floats, by a table of the 3 x 256 values there are: a load and a
// store for each, no arithmetic. Measured: 47 GB/s on two cores (bench/RESULTS.md, Operations).
#include "kernels/augment.h"

#include "kernels/parallel.h"

namespace graft::cpu {

void normalize(const Normalization& n, int64_t count, const uint8_t* pixels, float* y) {
  const PixelTable table = pixel_table(n);
  const int first = n.bgr ? 2 : 0, last = 2 - first;
  parallel_for(count, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* from = pixels + 3 * i;
      float* to = y + 3 * i;
      to[0] = table.of[0][from[first]];
      to[1] = table.of[1][from[1]];
      to[2] = table.of[2][from[last]];
    }
  });
}

}  // namespace graft::cpu
