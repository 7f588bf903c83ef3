// Whether the moments that a kernel has left of a matrix (rows, channels) are right, for the programs
// of seeded.sh: of each tile of rows, to a bound; guarded.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <utility>
#include <vector>

#include "kernels/moments.h"
#include "tests/cusim/seeded.h"

namespace cusim {

inline bool right_moments(const Guarded<graft::cuda::ChannelMoments>& found,
                          const std::vector<float>& y, size_t channels, size_t of_tile) {
  const size_t rows = y.size() / channels;
  auto tile_of = [&](size_t i, auto of) {
    double sum = 0;
    const size_t begin = i / channels * of_tile, end = std::min(begin + of_tile, rows);
    for (size_t row = begin; row < end; ++row) sum += of(double(y[row * channels + i % channels]));
    return std::pair(sum, double(end - begin));
  };
  for (size_t i = 0; i < found.size(); ++i) {
    const auto [sum, count] = tile_of(i, [](double v) { return v; });
    const double mean = sum / count;
    const double spread = tile_of(i, [=](double v) { return (v - mean) * (v - mean); }).first;
    const bool near = std::fabs(double(found[i].mean) - mean) <= 1e-4 &&
                      std::fabs(double(found[i].spread) - spread) <= 1e-4 * (1 + spread);
    if (!near) {  // NaN is not, either
      std::printf("FAIL moments %zu: %g %g, expected %g %g\n", i, double(found[i].mean),
                  double(found[i].spread), mean, spread);
      return false;
    }
  }
  if (!found.intact()) std::printf("FAIL wrote beside the moments\n");
  return found.intact();
}

}  // namespace cusim
