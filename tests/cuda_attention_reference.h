// Attention and its gradients by their formulas, in double; for the tests of the CUDA kernels.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

namespace graft::cuda {

struct AttentionShape {
  int64_t images, tokens, heads, width, masks;

  size_t qkv_size() const { return size_t(images * tokens * 3 * heads * width); }
  size_t y_size() const { return size_t(images * tokens * heads * width); }
  size_t squares(int64_t count) const { return size_t(count * tokens * tokens); }
  // Of channel 0; part 0 is queries, 1 keys, 2 values.
  size_t qkv_at(int64_t image, int64_t token, int64_t part, int64_t head) const {
    return size_t((((image * tokens + token) * 3 + part) * heads + head) * width);
  }
  size_t y_at(int64_t image, int64_t token, int64_t head) const {
    return size_t(((image * tokens + token) * heads + head) * width);
  }
  std::string text() const {
    return std::to_string(images) + " x " + std::to_string(tokens) + " tokens, " +
           std::to_string(heads) + " heads of " + std::to_string(width);
  }
};

struct AttentionWant {
  std::vector<double> y, dqkv, dbias;
};

inline double dot_of(int64_t n, const double* a, const double* b) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

inline void add_scaled(int64_t n, double factor, const double* x, double* y) {
  for (int64_t i = 0; i < n; ++i) y[i] += factor * x[i];
}

// bias, mask: empty where there is none
inline AttentionWant attention_reference(const AttentionShape& s, double scale,
                                         const std::vector<double>& qkv,
                                         const std::vector<double>& dy,
                                         const std::vector<double>& bias,
                                         const std::vector<double>& mask) {
  AttentionWant want{std::vector<double>(s.y_size()), std::vector<double>(s.qkv_size()),
                     std::vector<double>(s.squares(s.heads))};
  std::vector<double> p(size_t(s.tokens), 0.0), dp(p);
  for (int64_t n = 0; n < s.images; ++n)
    for (int64_t head = 0; head < s.heads; ++head)
      for (int64_t i = 0; i < s.tokens; ++i) {
        auto at = [&](int64_t token, int64_t part) { return s.qkv_at(n, token, part, head); };
        const double* q = &qkv[at(i, 0)];
        const double* d = &dy[s.y_at(n, i, head)];
        const size_t row = size_t((head * s.tokens + i) * s.tokens);
        const size_t mask_row = size_t((n % s.masks * s.tokens + i) * s.tokens);
        double top = -1e300, total = 0, inner = 0;
        for (int64_t j = 0; j < s.tokens; ++j) {
          p[size_t(j)] = scale * dot_of(s.width, q, &qkv[at(j, 1)]);
          if (!bias.empty()) p[size_t(j)] += bias[row + size_t(j)];
          if (!mask.empty()) p[size_t(j)] += mask[mask_row + size_t(j)];
          top = std::max(top, p[size_t(j)]);
        }
        for (double& v : p) total += v = std::exp(v - top);
        for (int64_t j = 0; j < s.tokens; ++j) {
          p[size_t(j)] /= total, dp[size_t(j)] = dot_of(s.width, d, &qkv[at(j, 2)]);
          inner += p[size_t(j)] * dp[size_t(j)];
          add_scaled(s.width, p[size_t(j)], &qkv[at(j, 2)], &want.y[s.y_at(n, i, head)]);
          add_scaled(s.width, p[size_t(j)], d, &want.dqkv[at(j, 2)]);
        }
        for (int64_t j = 0; j < s.tokens; ++j) {
          const double ds = p[size_t(j)] * (dp[size_t(j)] - inner);
          want.dbias[row + size_t(j)] += ds;
          add_scaled(s.width, scale * ds, &qkv[at(j, 1)], &want.dqkv[at(i, 0)]);
          add_scaled(s.width, scale * ds, q, &want.dqkv[at(j, 1)]);
        }
      }
  return want;
}

}  // namespace graft::cuda
