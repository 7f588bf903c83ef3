// Cuts of pictures, resized as PIL does it, byte for byte: a triangle filter that widens with the
// reduction, columns first, then rows, each pass rounded to 8 bits, weights of 22 bits (see
// io/resize.h; the numbers are defined by Pillow's src/libImaging/Resample.c).
//
//   make_taps      for each cut and side: which source positions a result takes, and their weights.
//                  In double and without fused multiply-adds, or the last bit of a weight differs.
//   resize_columns picture -> narrow (cut, row of the box, column of the image, 3)
//   resize_rows    narrow  -> pixels
//
// Bytes moved: the boxes once, the narrow images written and read, the pixels; integer arithmetic.
// Not yet run on a GPU.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "kernels/augment.h"
#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

constexpr int kPrecision = 22;  // bits of a weight
enum Side { kColumns, kRows };

// Where the taps of one side of one cut lie: position p's weights are size apart, from weight + p.
struct Taps {
  int* first;       // (count, 2, size)
  int* number;      // (count, 2, size); 0 for what is outside the resized box
  int32_t* weight;  // (count, 2, longest, size)
  int longest;

  __device__ int64_t at(int64_t cut, Side side, int size) const { return (cut * 2 + side) * size; }
};

struct Batch {
  const Cut* cuts;   // (count)
  Taps taps;
  uint8_t* narrow;   // (count, most_rows, size, 3)
  int64_t most_rows;
  int size;
};

// -> b.taps, a thread for each position of each side of each cut
__global__ void __launch_bounds__(kBlock) make_taps(int64_t count, const Batch b) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  if (i >= count * 2 * b.size) return;
  const int position = int(i % b.size);
  const Side side = i / b.size % 2 ? kRows : kColumns;
  const Cut& cut = b.cuts[i / b.size / 2];
  const int in = side == kRows ? cut.from_height : cut.from_width;
  const int out = side == kRows ? cut.to_height : cut.to_width;
  const int p = position + (side == kRows ? cut.window_y : cut.window_x);
  b.taps.number[i] = 0;
  if (p < 0 || p >= out) return;

  const double scale = double(in) / double(out), reach = max(scale, 1.0), narrow = 1.0 / reach;
  const double centre = __dmul_rn(double(p) + 0.5, scale);
  const int low = max(int(centre - reach + 0.5), 0), high = min(int(centre + reach + 0.5), in);
  auto filter = [&](int k) {
    const double distance = fabs(__dmul_rn(double(k) - centre + 0.5, narrow));
    return max(1.0 - distance, 0.0);
  };
  double sum = 0;
  for (int k = low; k < high; ++k) sum += filter(k);
  int32_t* weight = b.taps.weight + i / b.size * b.taps.longest * b.size + position;
  for (int k = low; k < high; ++k) {
    const double share = sum != 0 ? filter(k) / sum : 0;
    weight[int64_t(k - low) * b.size] = int32_t(0.5 + __dmul_rn(share, double(1 << kPrecision)));
  }
  b.taps.first[i] = low;
  b.taps.number[i] = high - low;
}

// The weighted sum of pixels (number, 3) that lie `step` bytes apart, by weights (number), `size`
// apart -> to (3).
__device__ inline void weigh(const uint8_t* from, int64_t step, const int32_t* weight, int number,
                             int size, uint8_t* to) {
  uint32_t sum[3] = {1u << (kPrecision - 1), 1u << (kPrecision - 1), 1u << (kPrecision - 1)};
  for (int t = 0; t < number; ++t, from += step) {
    const auto w = uint32_t(weight[int64_t(t) * size]);
#pragma unroll
    for (int c = 0; c < 3; ++c) sum[c] += uint32_t(from[c]) * w;
  }
#pragma unroll
  for (int c = 0; c < 3; ++c) to[c] = uint8_t(min(max(int32_t(sum[c]) >> kPrecision, 0), 255));
}

// cut.rgb (height, width, 3) -> b.narrow (count, most_rows, size, 3); blockIdx.y: cut
__global__ void __launch_bounds__(kBlock) resize_columns(const Batch b) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;  // pixel of the narrow image
  const Cut& cut = b.cuts[blockIdx.y];
  const int64_t row = i / b.size;
  const int column = int(i - row * b.size);
  if (row >= cut.from_height) return;
  const int64_t taps = b.taps.at(blockIdx.y, kColumns, b.size);
  const int number = b.taps.number[taps + column];
  if (number == 0) return;
  const uint8_t* from = cut.rgb + (cut.from_y + row) * cut.stride +
                        (int64_t(cut.from_x) + b.taps.first[taps + column]) * 3;
  weigh(from, 3, b.taps.weight + taps * b.taps.longest + column, number, b.size,
        b.narrow + ((blockIdx.y * b.most_rows + row) * b.size + column) * 3);
}

// b.narrow -> pixels (count, size, size, 3); blockIdx.y: cut
__global__ void __launch_bounds__(kBlock) resize_rows(const Batch b, uint8_t* pixels) {
  const int64_t i = int64_t(blockIdx.x) * kBlock + threadIdx.x;
  const int64_t row = i / b.size;
  const int to_column = int(i - row * b.size);
  if (row >= b.size) return;
  const Cut& cut = b.cuts[blockIdx.y];
  const int column = cut.flip ? b.size - 1 - to_column : to_column;
  uint8_t* to = pixels + (int64_t(blockIdx.y) * b.size * b.size + i) * 3;
  const int64_t taps = b.taps.at(blockIdx.y, kRows, b.size);
  const int number = b.taps.number[taps + row];
  if (number == 0 || b.taps.number[b.taps.at(blockIdx.y, kColumns, b.size) + column] == 0) {
    for (int c = 0; c < 3; ++c) to[c] = 0;
    return;
  }
  const int64_t first = blockIdx.y * b.most_rows + b.taps.first[taps + row];
  weigh(b.narrow + (first * b.size + column) * 3, int64_t(b.size) * 3,
        b.taps.weight + taps * b.taps.longest + row, number, b.size, to);
}

void check(const Cut& c, int64_t index) {
  if (c.from_width > 0 && c.from_height > 0 && c.to_width > 0 && c.to_height > 0) return;
  throw std::invalid_argument("resize: cut " + std::to_string(index) + " makes " +
                              std::to_string(c.to_width) + " x " + std::to_string(c.to_height) +
                              " pixels of " + std::to_string(c.from_width) + " x " +
                              std::to_string(c.from_height));
}

int longest_taps(int in, int out) {
  return int(std::ceil(std::max(double(in) / out, 1.0))) * 2 + 1;
}

}  // namespace

void resize(int64_t count, const Cut* cuts, const Cut* device_cuts, int size, uint8_t* pixels,
            Stream stream) {
  constexpr int64_t kMostAtOnce = 65535;  // of gridDim.y
  if (count <= 0 || size <= 0) return;
  int most_rows = 0, longest = 0;
  for (int64_t i = 0; i < count; ++i) {
    check(cuts[i], i);
    most_rows = std::max(most_rows, cuts[i].from_height);
    longest = std::max({longest, longest_taps(cuts[i].from_width, cuts[i].to_width),
                        longest_taps(cuts[i].from_height, cuts[i].to_height)});
  }
  if (count > kMostAtOnce) {
    resize(kMostAtOnce, cuts, device_cuts, size, pixels, stream);
    return resize(count - kMostAtOnce, cuts + kMostAtOnce, device_cuts + kMostAtOnce, size,
                  pixels + kMostAtOnce * size * size * 3, stream);
  }
  const size_t positions = size_t(count) * 2 * size_t(size);
  Scratch first(positions * sizeof(int), stream), number(positions * sizeof(int), stream);
  Scratch weight(positions * size_t(longest) * sizeof(int32_t), stream);
  Scratch narrow(size_t(count) * size_t(most_rows) * size_t(size) * 3, stream);
  const Batch b{device_cuts,
                {first.data<int>(), number.data<int>(), weight.data<int32_t>(), longest},
                narrow.data<uint8_t>(),
                most_rows,
                size};
  launch(make_taps, {dim3(blocks_for(int64_t(positions))), dim3(kBlock), 0, stream}, count, b);
  launch(resize_columns,
         {dim3(blocks_for(int64_t(most_rows) * size), unsigned(count)), dim3(kBlock), 0, stream},
         b);
  launch(resize_rows,
         {dim3(blocks_for(int64_t(size) * size), unsigned(count)), dim3(kBlock), 0, stream}, b,
         pixels);
}

}  // namespace graft::cuda
