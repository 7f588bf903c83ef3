// The three passes of a convolution for the programs of seeded.sh, of x and of what a norm makes of
// it: exact sums, those of the norm's gradient among them, moments within a bound, guarded arrays.
// False where something is wrong, and that is printed.
#pragma once
#include <cmath>
#include <cstdio>
#include <vector>

#include "kernels/cuda/conv2d_block.cuh"
#include "tests/cusim/guarded.h"
#include "tests/cusim/seeded.h"

namespace graft::cuda {

using Values = cusim::Guarded<__nv_bfloat16>;

inline void fill(Values& values, size_t size, int seed) {
  for (size_t i = 0; i < size; ++i) values[i] = __nv_bfloat16(float((int(i) * seed) % 7 - 3));
}

struct Tensors {
  Conv2dProblem p;
  size_t x_size, w_size, y_size;
  Values x, w, dy;

  explicit Tensors(const Conv2dProblem& p)
      : p(p), x_size(size_t(p.n * p.h * p.w * p.c)), w_size(size_t(p.k * p.r * p.s * p.c)),
        y_size(size_t(p.n * p.out_h() * p.out_w() * p.k)), x(x_size), w(w_size), dy(y_size) {
    fill(x, x_size, 5), fill(w, w_size, 3), fill(dy, y_size, 11);
  }
};

// Calls each(element of y, of x, of w) for every product.
template <class Each>
void each_product(const Conv2dProblem& p, const Each& each) {
  for (int64_t n = 0, y = 0; n < p.n; ++n)
    for (int64_t i = 0; i < p.out_h(); ++i)
      for (int64_t j = 0; j < p.out_w(); ++j)
        for (int64_t k = 0; k < p.k; ++k, ++y)
          for (int64_t r = 0; r < p.r; ++r)
            for (int64_t s = 0; s < p.s; ++s) {
              const int64_t h = i * p.stride_h - p.pad_top + r, w = j * p.stride_w - p.pad_left + s;
              if (h < 0 || h >= p.h || w < 0 || w >= p.w) continue;
              for (int64_t c = 0; c < p.c; ++c)
                each(size_t(y), size_t(((n * p.h + h) * p.w + w) * p.c + c),
                     size_t(((k * p.r + r) * p.s + s) * p.c + c));
            }
}

// Of y (rows, channels), as one tile of rows after the other.
inline bool right_moments(const std::vector<float>& y, size_t channels, size_t of_tile,
                          const cusim::Guarded<ChannelMoments>& found) {
  const size_t rows = y.size() / channels;
  for (size_t tile = 0; tile * of_tile < rows; ++tile)
    for (size_t j = 0; j < channels; ++j) {
      const size_t begin = tile * of_tile, end = std::min(begin + of_tile, rows);
      double mean = 0, spread = 0;
      for (size_t i = begin; i < end; ++i) mean += double(y[i * channels + j]) / double(end - begin);
      for (size_t i = begin; i < end; ++i) spread += std::pow(double(y[i * channels + j]) - mean, 2);
      const ChannelMoments& m = found[tile * channels + j];
      if (std::fabs(double(m.mean) - mean) <= 1e-4 && std::fabs(double(m.spread) / spread - 1) <= 1e-5)
        continue;
      std::printf("FAIL moments of tile %zu, channel %zu: %g %g, expected %g %g\n", tile, j,
                  double(m.mean), double(m.spread), mean, spread);
      return false;
    }
  if (!found.intact()) std::printf("FAIL wrote beside the moments\n");
  return found.intact();
}

// relu(2 (x - 1) + shift), in integers; the shift of each channel is another one.
struct Norm {
  cusim::Guarded<float> mean, rstd, shift;
  InputNorm input;
  explicit Norm(int64_t channels)
      : mean(size_t(channels)), rstd(size_t(channels)), shift(size_t(channels)) {
    for (size_t j = 0; j < mean.size(); ++j) mean[j] = 1, rstd[j] = 2, shift[j] = float(j % 5);
    input = {{0, channels, mean.data(), rstd.data(), nullptr, shift.data(), Activation::relu},
             0,
             kNoLimit};
  }
  float of(float x, size_t element) const {
    return std::max(0.0f, 2 * (x - 1) + shift[element % mean.size()]);
  }
};

// Of g and g (x - 1), where dy is what dgrad gives and x what the norm before has made its input
// of.
inline bool right_sums(const std::vector<float>& dy, const cusim::Guarded<float>& x, const Norm& norm,
                       const cusim::Guarded<float>& found) {
  const size_t channels = norm.mean.size(), tiles = found.size() / (2 * channels);
  for (size_t j = 0; j < channels; ++j) {
    float sum = 0, slope = 0;
    for (size_t i = j; i < dy.size(); i += channels) {
      const float g = norm.of(x[i], i) > 0 ? dy[i] : 0;
      sum += g, slope += g * (x[i] - 1);
    }
    for (size_t tile = 0; tile < tiles; ++tile)
      sum -= found[2 * tile * channels + j], slope -= found[(2 * tile + 1) * channels + j];
    if (sum == 0 && slope == 0) continue;
    std::printf("FAIL sums of channel %zu: %g %g too small\n", j, double(sum), double(slope));
    return false;
  }
  if (!found.intact()) std::printf("FAIL wrote beside the sums\n");
  return found.intact();
}

// launch(work) runs a kernel whose tiles have so many rows of the result.
template <ConvPass kPass, class Launch>
bool run(const char* name, const Tensors& t, int tile_rows, const Launch& launch,
         const Norm* norm = nullptr) {
  constexpr bool kForward = kPass == ConvPass::fprop, kDgrad = kPass == ConvPass::dgrad;
  const Conv2dProblem& p = t.p;
  const size_t size = kForward ? t.y_size : kDgrad ? t.x_size : t.w_size;
  cusim::Guarded<float> out(size);
  ConvWork c{.problem = p, .size = 2, .out = out.data(), .out_type = DType::f32};
  c.a = kForward ? t.x.data() : t.dy.data();
  c.b = kPass == ConvPass::wgrad ? t.x.data() : t.w.data();
  c.grid = kDgrad ? PixelGrid(p.n, p.h, p.w) : PixelGrid(p.n, p.out_h(), p.out_w());
  c.by_channels = Divider(kDgrad ? p.k : p.c);
  c.parts = kDgrad ? p.stride_h * p.stride_w : 1;
  c.most_m = kDgrad ? int(p.n * phase_size(int(p.h), p.stride_h, 0) *
                          phase_size(int(p.w), p.stride_w, 0))
                    : int(kForward ? p.n * p.out_h() * p.out_w() : p.k);
  c.n = int(kForward ? p.k : kDgrad ? p.c : p.r * p.s * p.c);
  c.part = 1 << 20;
  const int tiles = (c.most_m + tile_rows - 1) / tile_rows;
  cusim::Guarded<ChannelMoments> moments(size_t(tiles) * size_t(p.k));
  if (kForward) c.moments = moments.data();
  const Norm after(p.c);
  cusim::Guarded<float> x(t.x_size), sums(size_t(tiles * c.parts * 2 * p.c));
  for (size_t i = 0; i < t.x_size; ++i) x[i] = float(t.x[i]);
  if (kDgrad) c.sums = {after.input, x.data(), sums.data()};
  if (norm) c.norm = norm->input;
  launch(c);
  synchronize(Stream{});

  std::vector<float> want(size, 0.0f);
  each_product(p, [&](size_t y, size_t x, size_t w) {
    const float value = norm ? norm->of(float(t.x[x]), x) : float(t.x[x]);
    if (kForward) want[y] += value * float(t.w[w]);
    else if (kDgrad) want[x] += float(t.dy[y]) * float(t.w[w]);
    else want[w] += float(t.dy[y]) * value;
  });
  for (size_t i = 0; i < size; ++i)
    if (out[i] != want[i]) {
      std::printf("FAIL %s element %zu: %g, expected %g\n", name, i, double(out[i]), double(want[i]));
      return false;
    }
  if (!out.intact()) std::printf("FAIL %s wrote beside its result\n", name);
  return out.intact() && (!kForward || right_moments(want, size_t(p.k), size_t(tile_rows), moments)) &&
         (!kDgrad || right_sums(want, x, after, sums));
}

}  // namespace graft::cuda
