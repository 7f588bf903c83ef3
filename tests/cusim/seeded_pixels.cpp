// The smallest program that runs the kernels that move and weigh pixels, for seeded.sh: pooling and
// its gradients, transposes, rows into wider arrays, resizing, normalising. Exact but for means and
// bytes. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include <vector>

#include "tests/cusim/seeded_f32.h"
#include "kernels/cuda/layout.cu"
#include "kernels/cuda/normalize.cu"
#include "kernels/cuda/pool.cu"
#include "kernels/cuda/pool_backward.cu"
#include "kernels/cuda/resize.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;
using cusim::same;

namespace {

using Floats = cusim::Guarded<float>;
using Bytes = cusim::Guarded<uint8_t>;
constexpr double kBound = 1e-6;

bool pooled(const PoolProblem& p) {
  Floats x(size_t(p.in_size())), dy(size_t(p.out_size()));
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * 5 % 7) - 3;  // many are equal
  for (size_t i = 0; i < dy.size(); ++i) dy[i] = float(i * 3 % 11) - 5;
  Floats most(dy.size()), mean(dy.size()), dx_most(x.size()), dx_mean(x.size());
  Bytes tap(dy.size());
  max_pool(p, x.data(), most.data(), tap.data(), {});
  max_pool_backward(p, dy.data(), tap.data(), dx_most.data(), {});
  avg_pool(p, x.data(), mean.data(), {});
  avg_pool_backward(p, dy.data(), dx_mean.data(), {});
  synchronize(Stream{});

  const size_t n = dy.size();
  std::vector<float> want_most(n, -INFINITY), want_mean(n);
  std::vector<float> want_dx(x.size()), want_dx_mean(x.size());
  std::vector<int> want_tap(n);
  for (size_t i = 0; i < n; ++i) {
    const auto at = int64_t(i), c = at % p.c, column = at / p.c % p.w.out;
    const auto row = at / p.c / p.w.out % p.h.out, image = at / p.c / p.w.out / p.h.out;
    const PoolWindow rows = p.h.at(row), columns = p.w.at(column);
    const float share = 1 / float(rows.divisor * columns.divisor);
    size_t winner = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const auto from = size_t(((image * p.h.in + h) * p.w.in + w) * p.c + c);
        want_mean[i] += x[from] * share;
        want_dx_mean[from] += dy[i] * share;
        if (x[from] <= want_most[i]) continue;
        want_most[i] = x[from], winner = from;
        want_tap[i] = int((h - rows.origin) * p.w.window + w - columns.origin);
      }
    want_dx[winner] += dy[i];
  }
  const bool adaptive = p.h.adaptive;  // has no taps
  return same("max pool", most, [&](size_t i) { return want_most[i]; }) &&
         (adaptive || same("taps", tap, [&](size_t i) { return want_tap[i]; })) &&
         (adaptive || same("max pool's gradient", dx_most, [&](size_t i) { return want_dx[i]; })) &&
         same("mean pool", mean, [&](size_t i) { return want_mean[i]; }, kBound) &&
         same("mean pool's gradient", dx_mean, [&](size_t i) { return want_dx_mean[i]; }, kBound);
}

bool transposed(size_t count, size_t rows, size_t columns) {
  Floats x(count * rows * columns), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i);
  transpose(int64_t(count), int64_t(rows), int64_t(columns), x.data(), y.data(), {});
  synchronize(Stream{});
  return same("transpose", y, [&](size_t i) {
    const size_t row = i % rows, column = i / rows % columns;
    return i / rows / columns * rows * columns + row * columns + column;
  });
}

// Rows of `width` elements into rows that are one pack wider.
bool rows_copied(size_t planes, size_t rows, size_t width) {
  const size_t wide = width + 4;
  Floats x(planes * rows * width), y(planes * rows * wide);
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i);
  copy_rows(int64_t(planes), int64_t(rows), int64_t(width), x.data(),
            {int64_t(rows * width), int64_t(width)}, y.data(),
            {int64_t(rows * wide), int64_t(wide)}, {});
  synchronize(Stream{});
  return same("rows", y, [&](size_t i) {
    return i % wide < width ? double(i / wide * width + i % wide) : double(NAN);
  });
}

// What position p of a side is made of: its weights of the positions of the box.
std::vector<double> triangle(int from, int to, int p) {
  std::vector<double> weights(size_t(from), 0.0);
  if (p < 0 || p >= to) return weights;
  const double scale = double(from) / to, reach = std::max(scale, 1.0);
  double sum = 0;
  for (int k = 0; k < from; ++k) {
    weights[size_t(k)] = std::max(0.0, 1 - std::fabs(k + 0.5 - (p + 0.5) * scale) / reach);
    sum += weights[size_t(k)];
  }
  for (double& w : weights) w /= sum;
  return weights;
}

bool resized(int size) {
  constexpr int kHeight = 30, kWidth = 41;
  Bytes rgb(size_t(kHeight * kWidth * 3));
  for (size_t i = 0; i < rgb.size(); ++i) rgb[i] = uint8_t(i * 37 + i / 50);
  const Cut cuts[] = {{rgb.data(), kWidth * 3, 0, 0, kWidth, kHeight, size, size, 0, 0, false},
                      {rgb.data(), kWidth * 3, 21, 9, 20, 21, 50, 50, 19, 22, true},
                      {rgb.data(), kWidth * 3, 3, 5, 30, 25, size - 2, size, -1, 3, true}};
  const size_t image = size_t(size * size * 3);
  Bytes pixels(std::size(cuts) * image);
  resize(std::size(cuts), cuts, cuts, size, pixels.data(), {});
  synchronize(Stream{});
  std::vector<double> want(pixels.size());
  for (size_t i = 0; i < want.size(); ++i) {
    const Cut& cut = cuts[i / image];
    const int at = int(i % image), row = at / 3 / size, column = at / 3 % size, c = at % 3;
    const auto down = triangle(cut.from_height, cut.to_height, row + cut.window_y);
    const auto across = triangle(cut.from_width, cut.to_width,
                                 (cut.flip ? size - 1 - column : column) + cut.window_x);
    for (size_t h = 0; h < down.size(); ++h)
      for (size_t w = 0; w < across.size(); ++w) {
        const size_t pixel = (size_t(cut.from_y) + h) * kWidth + size_t(cut.from_x) + w;
        want[i] += down[h] * across[w] * rgb[pixel * 3 + size_t(c)];
      }
  }
  for (size_t i = 0; i < want.size(); ++i)
    if (std::fabs(want[i] - pixels[i]) < 1.01) want[i] = pixels[i];  // rounded twice, each by half
  return same("resize", pixels, [&](size_t i) { return want[i]; });
}

bool normalized(size_t count, bool bgr) {
  Bytes pixels(3 * count);
  Floats y(3 * count);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = uint8_t(i * 37 + i / 256);
  const Normalization n{1, {1, 2, 3}, {1, 2, 4}, bgr};  // exact
  normalize(n, int64_t(count), pixels.data(), y.data(), {});
  synchronize(Stream{});
  return same("normalize", y, [&](size_t i) {
    const size_t c = i % 3, from = i - c + (bgr ? 2 - c : c);
    return (float(pixels[from]) - n.mean[c]) / n.std[c];
  });
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = true;
  for (int64_t channels : {8, 5})  // vectors, and none
    good = good &&
           pooled({2, channels, pool_axis(7, 3, 2, 1, 1, false, true),
                   pool_axis(10, 3, 2, 1, 1, true, false)}) &&
           pooled({1, channels, pool_axis(5, 2, 2, 0, 0, false, true),
                   pool_axis(131, 2, 2, 0, 0, true, true)}) &&  // a row in several blocks
           pooled({2, channels, adaptive_axis(7, 3), adaptive_axis(5, 7)});
  good = good && transposed(2, 33, 65) && transposed(1, 32, 64) && transposed(3, 9, 40) &&
         rows_copied(3, 5, 8) && rows_copied(2, 50, 7) && resized(17) && resized(16);
  for (size_t pixels : {4 * 4 * 256 + 4, 50, 3})  // two blocks; one, and a part of four
    good = good && normalized(pixels, false) && normalized(pixels, true);
  if (good) std::puts("PASS");
  return !good;
}
