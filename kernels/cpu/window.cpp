// Windows of tokens and back: every token is one copy of its channels, or zeros in the padding.
// Threads take windows. Its speed has not been measured apart.
#include "kernels/window.h"

#include <cstring>
#include <vector>

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

// body(pixel, token) for every token of every window, both counted over all images; pixel is -1 in
// the padding.
template <class Body>
void each_token(const WindowProblem& p, const Body& body) {
  const int64_t rows = p.rows(), columns = p.columns(), tokens = p.tokens();
  const int64_t height = rows * p.window_h, width = columns * p.window_w;
  const int64_t grain = 16384 / (tokens * p.c) + 1;
  parallel_for(p.n * rows * columns, grain, [&](int64_t begin, int64_t end) {
    for (int64_t window = begin; window < end; ++window) {
      const int64_t image = window / (rows * columns);
      const int64_t top = window / columns % rows * p.window_h, left = window % columns * p.window_w;
      for (int64_t token = 0; token < tokens; ++token) {
        const int64_t i = p.columns_first ? token % p.window_h : token / p.window_w;
        const int64_t j = p.columns_first ? token / p.window_h : token % p.window_w;
        const int64_t y = (top + i + p.shift_h) % height, x = (left + j + p.shift_w) % width;
        const bool inside = y < p.h && x < p.w;
        body(inside ? (image * p.h + y) * p.w + x : -1, window * tokens + token);
      }
    }
  });
}

// Of a side in pixels: 0 for windows that the seam of the shift does not cross, 1 before it and 2
// behind it.
int64_t part(int64_t at, int64_t side, int64_t window, int64_t shift) {
  if (shift == 0 || at < side - window) return 0;
  return at < side - shift ? 1 : 2;
}

}  // namespace

void to_windows(const WindowProblem& p, const float* x, float* y) {
  const size_t bytes = size_t(p.c) * sizeof(float);
  each_token(p, [&](int64_t pixel, int64_t token) {
    if (pixel < 0) std::memset(y + token * p.c, 0, bytes);
    else std::memcpy(y + token * p.c, x + pixel * p.c, bytes);
  });
}

void from_windows(const WindowProblem& p, const float* y, float* x) {
  const size_t bytes = size_t(p.c) * sizeof(float);
  each_token(p, [&](int64_t pixel, int64_t token) {
    if (pixel >= 0) std::memcpy(x + pixel * p.c, y + token * p.c, bytes);
  });
}

void window_mask(const WindowProblem& p, float value, float* mask) {
  const int64_t rows = p.rows(), columns = p.columns(), tokens = p.tokens();
  std::vector<int64_t> parts(size_t(tokens), 0);
  for (int64_t window = 0; window < rows * columns; ++window) {
    const int64_t top = window / columns * p.window_h, left = window % columns * p.window_w;
    for (int64_t t = 0; t < tokens; ++t)
      parts[size_t(t)] =
          3 * part(top + t / p.window_w, rows * p.window_h, p.window_h, p.shift_h) +
          part(left + t % p.window_w, columns * p.window_w, p.window_w, p.shift_w);
    for (int64_t a = 0; a < tokens; ++a)
      for (int64_t b = 0; b < tokens; ++b)
        *mask++ = parts[size_t(a)] == parts[size_t(b)] ? 0 : value;
  }
}

}  // namespace graft::cpu
