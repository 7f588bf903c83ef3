// Moving values: transposed matrices, and rows between arrays of different widths.
//
// A transpose goes through shared memory in tiles of 32 x 32: rows are read and columns written by
// neighbouring threads, 128 bytes of f32 at a time. Tiles are 33 wide, so that a column of 32 lies
// in 32 banks. Where the matrices are smaller than a tile (3x3 filters are 9 wide) a thread moves
// one element, writing in order; the scattered reads of a block meet in the first cache.
// Bytes moved: each array once, the limit. Not yet run on a GPU.
#include "kernels/layout.h"

#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

constexpr int kTile = 32;

template <class T>
struct TransposeTile {
  T element[kTile][kTile + 1];  // (kTile, kTile)
};

struct TransposeShape {
  int64_t rows, columns;          // of a matrix, as it is read
  unsigned tiles_down, tiles_across;
};

// from (count, rows, columns) -> to (count, columns, rows)
template <class T>
__global__ void __launch_bounds__(kBlock)
    transpose_tiles(const TransposeShape s, const T* from, T* to) {
  GRAFT_SHARED(TransposeTile<T>, tile);
  const unsigned across = blockIdx.x % s.tiles_across, above = blockIdx.x / s.tiles_across;
  const int64_t column0 = int64_t(across) * kTile, row0 = int64_t(above % s.tiles_down) * kTile;
  const int64_t matrix = int64_t(above / s.tiles_down) * s.rows * s.columns;
  const int x = int(threadIdx.x) % kTile, y0 = int(threadIdx.x) / kTile;
#pragma unroll
  for (int y = y0; y < kTile; y += kBlock / kTile)
    if (row0 + y < s.rows && column0 + x < s.columns)
      tile.element[y][x] = from[matrix + (row0 + y) * s.columns + column0 + x];
  __syncthreads();
#pragma unroll
  for (int y = y0; y < kTile; y += kBlock / kTile)
    if (column0 + y < s.columns && row0 + x < s.rows)
      to[matrix + (column0 + y) * s.rows + row0 + x] = tile.element[x][y];
}

template <class T>
struct TransposeSmall {
  int64_t size;   // of a matrix
  int rows, columns;
  const T* from;  // (count, rows, columns)
  T* to;          // (count, columns, rows)

  template <int>
  __device__ void run(int64_t i) const {
    const int64_t matrix = i / size;
    const int at = int(i - matrix * size), column = at / rows, row = at - column * rows;
    to[i] = from[matrix * size + row * columns + column];
  }
};

template <class T>
struct CopyRows {
  int64_t rows, packs;  // packs of kWidth elements in a row
  const T* from;  // (planes, rows, packs kWidth), rows and planes apart by from_stride
  Strided from_stride;
  T* to;  // the same, by to_stride
  Strided to_stride;
};

template <class T, int kWidth>
__global__ void __launch_bounds__(kBlock) copy_packs(int64_t count, const CopyRows<T> c) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count) return;
  const int64_t line = i / c.packs, at = (i - line * c.packs) * kWidth;
  const int64_t plane = line / c.rows, row = line - plane * c.rows;
  T v[kWidth];
  load_raw(v, c.from + plane * c.from_stride.plane + row * c.from_stride.row + at);
  store_raw(c.to + plane * c.to_stride.plane + row * c.to_stride.row + at, v);
}

}  // namespace

template <class T>
void transpose(int64_t count, int64_t rows, int64_t columns, const T* from, T* to, Stream stream) {
  const int64_t size = rows * columns;
  if (count <= 0 || size <= 0) return;
  if (rows == 1 || columns == 1) {  // 1x1 filters
    copy(to, from, size_t(count * size) * sizeof(T), stream);
  } else if (rows < kTile || columns < kTile) {
    for_each_element<1>(count * size, -1,
                        TransposeSmall<T>{size, int(rows), int(columns), from, to}, stream);
  } else {
    const TransposeShape s{rows, columns, unsigned((rows + kTile - 1) / kTile),
                           unsigned((columns + kTile - 1) / kTile)};
    launch(transpose_tiles<T>,
           {dim3(unsigned(count) * s.tiles_down * s.tiles_across), dim3(kBlock),
            sizeof(TransposeTile<T>), stream},
           s, from, to);
  }
}

template <class T>
void oihw_to_ohwi(int64_t o, int64_t i, int64_t h, int64_t w, const T* from, T* to, Stream stream) {
  transpose(o, i, h * w, from, to, stream);
}

template <class T>
void ohwi_to_oihw(int64_t o, int64_t i, int64_t h, int64_t w, const T* from, T* to, Stream stream) {
  transpose(o, h * w, i, from, to, stream);
}

template <class T>
void chw_to_hwc_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const T* from, T* to,
                        Stream stream) {
  transpose(rows, c, h * w, from, to, stream);
}

template <class T>
void hwc_to_chw_columns(int64_t rows, int64_t c, int64_t h, int64_t w, const T* from, T* to,
                        Stream stream) {
  transpose(rows, h * w, c, from, to, stream);
}

template <class T>
void copy_rows(int64_t planes, int64_t rows, int64_t width, const T* from, Strided from_stride,
               T* to, Strided to_stride, Stream stream) {
  if (planes <= 0 || rows <= 0 || width <= 0) return;
  auto whole = [](int64_t n) { return n % kPack<T> == 0; };
  const bool vectors = aligned({from, to}) && whole(width) && whole(from_stride.row) &&
                       whole(to_stride.row) && whole(from_stride.plane) && whole(to_stride.plane);
  with_width<kPack<T>>(vectors, [&](auto pack) {
    const int64_t packs = width / pack, count = planes * rows * packs;
    launch(copy_packs<T, pack>, {dim3(blocks_for(count)), dim3(kBlock), 0, stream}, count,
           CopyRows<T>{rows, packs, from, from_stride, to, to_stride});
  });
}

#define GRAFT_LAYOUT(T)                                                                           \
  template void transpose(int64_t, int64_t, int64_t, const T*, T*, Stream);                       \
  template void oihw_to_ohwi(int64_t, int64_t, int64_t, int64_t, const T*, T*, Stream);           \
  template void ohwi_to_oihw(int64_t, int64_t, int64_t, int64_t, const T*, T*, Stream);           \
  template void chw_to_hwc_columns(int64_t, int64_t, int64_t, int64_t, const T*, T*, Stream);     \
  template void hwc_to_chw_columns(int64_t, int64_t, int64_t, int64_t, const T*, T*, Stream);     \
  template void copy_rows(int64_t, int64_t, int64_t, const T*, Strided, T*, Strided, Stream);
GRAFT_FOR_FLOATS(GRAFT_LAYOUT)
#undef GRAFT_LAYOUT

}  // namespace graft::cuda
