// The smallest program that runs the kernels around attention, for seeded.sh: queries and keys by
// their direction with their gradients, windows of tokens and back. Windows are exact, directions
// within a bound. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include <vector>

#include "tests/cusim/seeded_f32.h"
#include "kernels/cuda/cosine.cu"
#include "kernels/cuda/window.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;
using cusim::same;

namespace {

using Floats = cusim::Guarded<float>;
constexpr double kBound = 1e-5;

void fill_in(Floats& x, size_t seed) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i * seed % 11) - 5;
}

bool directed(size_t rows, size_t heads, size_t width) {
  Floats qkv(rows * 3 * heads * width), dy(qkv.size()), y(qkv.size()), dqkv(qkv.size());
  Floats factors(heads), dots(rows * heads);
  fill_in(qkv, 3), fill_in(dy, 7);
  for (size_t head = 0; head < heads; ++head) factors[head] = head ? 5 : 1;  // 5: above its limit
  const CosineProblem p{int64_t(rows), int64_t(heads), int64_t(width), factors.data()};
  cosine(p, qkv.data(), y.data(), {});
  cosine_backward(p, qkv.data(), dy.data(), dqkv.data(), dots.data(), {});
  synchronize(Stream{});

  auto dot = [&](const Floats& a, const Floats& b, size_t vector) {
    double sum = 0;
    for (size_t i = vector * width; i < (vector + 1) * width; ++i)
      sum += double(a[i]) * double(b[i]);
    return sum;
  };
  auto part = [&](size_t vector) { return vector / heads % 3; };
  auto length = [&](size_t vector) { return std::sqrt(dot(qkv, qkv, vector)); };
  auto factor = [&](size_t vector) {
    if (part(vector) > 0) return 1.0;
    return std::exp(std::min(double(factors[vector % heads]), double(kLargestLogFactor)));
  };
  return same("directions", y, [&](size_t i) {
           const size_t vector = i / width;
           const double divisor = part(vector) < 2 ? length(vector) : 1;
           return double(qkv[i]) / divisor * factor(vector);
         }, kBound) &&
         same("directions' gradient", dqkv, [&](size_t i) {
           const size_t vector = i / width;
           if (part(vector) == 2) return double(dy[i]);
           const double along = dot(qkv, dy, vector) / std::pow(length(vector), 2);
           return factor(vector) / length(vector) * (double(dy[i]) - along * double(qkv[i]));
         }, kBound) &&
         same("dots", dots, [&](size_t i) {
           const size_t query = i / heads * 3 * heads + i % heads;
           if (factors[i % heads] > kLargestLogFactor) return 0.0;
           return factor(query) * dot(qkv, dy, query) / length(query);
         }, kBound);
}

bool windows(const WindowProblem& p) {
  const auto tokens = p.tokens(), rows = p.rows(), columns = p.columns();
  Floats x(size_t(p.n * p.h * p.w * p.c)), y(size_t(p.n * rows * columns * tokens * p.c));
  Floats back(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = float(i + 1);
  to_windows(p, x.data(), y.data(), {});
  from_windows(p, y.data(), back.data(), {});
  synchronize(Stream{});
  return same("windows", y, [&](size_t i) {
           const auto at = int64_t(i), c = at % p.c, token = at / p.c % tokens;
           const auto window = at / p.c / tokens, image = window / (rows * columns);
           const auto i_w = p.columns_first ? token % p.window_h : token / p.window_w;
           const auto j_w = p.columns_first ? token / p.window_h : token % p.window_w;
           const auto top = window / columns % rows * p.window_h, left = window % columns * p.window_w;
           const auto h = (top + i_w + p.shift_h) % (rows * p.window_h);
           const auto w = (left + j_w + p.shift_w) % (columns * p.window_w);
           const bool inside = h < p.h && w < p.w;
           return inside ? double(((image * p.h + h) * p.w + w) * p.c + c + 1) : 0.0;
         }) &&
         same("windows and back", back, [&](size_t i) { return x[i]; });
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = directed(7, 2, 36) && directed(9, 2, 5);  // vectors, and none
  for (int64_t channels : {8, 5})
    good = good && windows({2, 7, 9, channels, 3, 4, 1, 2, false}) &&
           windows({1, 4, 6, channels, 2, 3, 0, 0, true});
  if (good) std::puts("PASS");
  return !good;
}
