// Orders of weights and maps: transposes in tiles of 32 x 32, which fit the first cache whichever
// side is read across, and rows copied whole. Its speed has not been measured apart.
#include "kernels/layout.h"

#include <cstring>

#include "kernels/parallel.h"

namespace graft::cpu {

// In tiles that fit the first cache.
void transpose(int64_t count, int64_t rows, int64_t columns, const float* from, float* to) {
  constexpr int64_t kTile = 32;
  const int64_t size = rows * columns;
  if (rows == 1 || columns == 1) {  // 1x1 filters
    std::memcpy(to, from, size_t(count * size) * sizeof(float));
    return;
  }
  parallel_for(count, 65536 / std::max<int64_t>(size, 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const float* a = from + k * size;
      float* b = to + k * size;
      for (int64_t i0 = 0; i0 < rows; i0 += kTile)
        for (int64_t j0 = 0; j0 < columns; j0 += kTile)
          for (int64_t j = j0; j < std::min(j0 + kTile, columns); ++j)
            for (int64_t i = i0; i < std::min(i0 + kTile, rows); ++i)
              b[j * rows + i] = a[i * columns + j];
    }
  });
}

void oihw_to_ohwi(int64_t o, int64_t i, int64_t h, int64_t w, const float* from, float* to) {
  transpose(o, i, h * w, from, to);
}

void ohwi_to_oihw(int64_t o, int64_t i, int64_t h, int64_t w, const float* from, float* to) {
  transpose(o, h * w, i, from, to);
}

void chw_to_hwc_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const float* from,
                        float* to) {
  transpose(rows, c, h * w, from, to);
}

void hwc_to_chw_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const float* from,
                        float* to) {
  transpose(rows, h * w, c, from, to);
}

void copy_rows(int64_t planes, int64_t rows, int64_t width, const float* from, Strided from_stride,
               float* to, Strided to_stride) {
  const int64_t grain = 16384 / std::max<int64_t>(width, 1) + 1;
  parallel_for(planes * rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; ++at) {
      int64_t plane = at / rows, row = at % rows;
      std::memcpy(to + plane * to_stride.plane + row * to_stride.row,
                  from + plane * from_stride.plane + row * from_stride.row,
                  size_t(width) * sizeof(float));
    }
  });
}

}  // namespace graft::cpu
