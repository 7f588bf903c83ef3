// What every operation means, as plain loops in double: slow, obvious, and written without looking
// at the kernels. Layouts as in core/ops.h. Optional arguments are empty when absent.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "core/ops.h"

namespace graft::reference {

using Values = std::vector<double>;

inline double activate(Activation a, double x) {
  switch (a) {
    case Activation::none:
      return x;
    case Activation::relu:
      return std::max(x, 0.0);
    case Activation::relu6:
      return std::clamp(x, 0.0, 6.0);
    case Activation::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Activation::silu:
      return x / (1 + std::exp(-x));
    case Activation::gelu:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Activation::hardswish:
      return x * std::clamp(x + 3, 0.0, 6.0) / 6;
    case Activation::hardsigmoid:
      return std::clamp(x + 3, 0.0, 6.0) / 6;
  }
  return x;
}

inline Values activate(Activation a, Values x) {
  for (double& v : x) v = activate(a, v);
  return x;
}

inline Values conv2d(const Conv2dProblem& p, const Values& x, const Values& w, const Values& bias,
                     const Values& residual, Activation a) {
  const int64_t ci = p.c / p.groups, ko = p.k / p.groups;
  Values y(size_t(p.n * p.out_h() * p.out_w() * p.k));
  size_t at = 0;
  for (int64_t n = 0; n < p.n; ++n)
    for (int64_t oh = 0; oh < p.out_h(); ++oh)
      for (int64_t ow = 0; ow < p.out_w(); ++ow)
        for (int64_t k = 0; k < p.k; ++k, ++at) {
          double sum = bias.empty() ? 0 : bias[size_t(k)];
          for (int64_t r = 0; r < p.r; ++r)
            for (int64_t s = 0; s < p.s; ++s)
              for (int64_t c = 0; c < ci; ++c) {
                int64_t h = oh * p.stride_h - p.pad_top + r * p.dilation_h;
                int64_t v = ow * p.stride_w - p.pad_left + s * p.dilation_w;
                if (h < 0 || h >= p.h || v < 0 || v >= p.w) continue;
                sum += x[size_t(((n * p.h + h) * p.w + v) * p.c + k / ko * ci + c)] *
                       w[size_t(((k * p.r + r) * p.s + s) * ci + c)];
              }
          y[at] = activate(a, sum + (residual.empty() ? 0 : residual[at]));
        }
  return y;
}

// a (m,k) b (k,n)
inline Values matmul(int64_t m, int64_t k, int64_t n, const Values& a, const Values& b) {
  Values y(size_t(m * n), 0.0);
  for (int64_t i = 0; i < m; ++i)
    for (int64_t l = 0; l < k; ++l)
      for (int64_t j = 0; j < n; ++j)
        y[size_t(i * n + j)] += a[size_t(i * k + l)] * b[size_t(l * n + j)];
  return y;
}

inline Values linear(int64_t n, int64_t in, int64_t out, const Values& x, const Values& w,
                     const Values& bias, Activation a) {
  Values y(size_t(n * out));
  for (int64_t i = 0; i < n; ++i)
    for (int64_t o = 0; o < out; ++o) {
      double sum = bias.empty() ? 0 : bias[size_t(o)];
      for (int64_t l = 0; l < in; ++l) sum += x[size_t(i * in + l)] * w[size_t(o * in + l)];
      y[size_t(i * out + o)] = activate(a, sum);
    }
  return y;
}

struct Moments {
  Values mean, var;  // biased
};

inline Moments moments(const Values& x, size_t channels) {
  const size_t rows = x.size() / channels;
  Moments m{Values(channels, 0.0), Values(channels, 0.0)};
  for (size_t i = 0; i < x.size(); ++i) m.mean[i % channels] += x[i] / double(rows);
  for (size_t i = 0; i < x.size(); ++i) {
    double d = x[i] - m.mean[i % channels];
    m.var[i % channels] += d * d / double(rows);
  }
  return m;
}

inline Values batch_norm(const Values& x, const Values& gamma, const Values& beta, const Moments& m,
                         double eps, Activation a, const Values& residual) {
  const size_t channels = m.mean.size();
  Values y(x.size());
  for (size_t i = 0; i < x.size(); ++i) {
    size_t j = i % channels;
    double z = (x[i] - m.mean[j]) / std::sqrt(m.var[j] + eps);
    z = z * (gamma.empty() ? 1 : gamma[j]) + (beta.empty() ? 0 : beta[j]);
    y[i] = activate(a, z + (residual.empty() ? 0 : residual[i]));
  }
  return y;
}

inline Values layer_norm(const Values& x, const Values& gamma, const Values& beta, double eps) {
  const size_t channels = gamma.size();
  Values y;
  for (size_t at = 0; at < x.size(); at += channels) {
    double mean = 0, var = 0;
    for (size_t j = 0; j < channels; ++j) mean += x[at + j] / double(channels);
    for (size_t j = 0; j < channels; ++j) var += std::pow(x[at + j] - mean, 2) / double(channels);
    for (size_t j = 0; j < channels; ++j)
      y.push_back((x[at + j] - mean) / std::sqrt(var + eps) * gamma[j] + beta[j]);
  }
  return y;
}

// Number of windows, PyTorch's rule for ceil_mode included.
inline int64_t pooled(int64_t in, int window, int stride, int before, int after, bool ceil_mode) {
  double room = double(in + before + after - window) / stride;
  auto out = int64_t(ceil_mode ? std::ceil(room) : std::floor(room)) + 1;
  return ceil_mode && (out - 1) * stride >= in + before ? out - 1 : out;
}

inline Values pool2d(bool maximum, const Shape& in, const PoolSpec& s, const Values& x) {
  auto [top, left, bottom, right] = s.padding;
  const int64_t oh = pooled(in[1], s.window[0], s.stride[0], top, bottom, s.ceil_mode);
  const int64_t ow = pooled(in[2], s.window[1], s.stride[1], left, right, s.ceil_mode);
  Values y;
  for (int64_t n = 0; n < in[0]; ++n)
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j)
        for (int64_t c = 0; c < in[3]; ++c) {
          double best = -std::numeric_limits<double>::infinity(), sum = 0;
          int inside = 0, padded = 0;
          for (int64_t h = i * s.stride[0] - top; h < i * s.stride[0] - top + s.window[0]; ++h)
            for (int64_t w = j * s.stride[1] - left; w < j * s.stride[1] - left + s.window[1];
                 ++w) {
              if (h < in[1] + bottom && w < in[2] + right) ++padded;
              if (h < 0 || h >= in[1] || w < 0 || w >= in[2]) continue;
              double v = x[size_t(((n * in[1] + h) * in[2] + w) * in[3] + c)];
              best = std::max(best, v);
              sum += v;
              ++inside;
            }
          y.push_back(maximum ? best : sum / (s.count_padding ? padded : inside));
        }
  return y;
}

inline Values adaptive_avg_pool2d(const Shape& in, int64_t oh, int64_t ow, const Values& x) {
  Values y;
  for (int64_t n = 0; n < in[0]; ++n)
    for (int64_t i = 0; i < oh; ++i)
      for (int64_t j = 0; j < ow; ++j)
        for (int64_t c = 0; c < in[3]; ++c) {
          auto first = [](int64_t k, int64_t out, int64_t size) {
            return int64_t(std::floor(double(k * size) / double(out)));
          };
          auto last = [](int64_t k, int64_t out, int64_t size) {
            return int64_t(std::ceil(double((k + 1) * size) / double(out)));
          };
          double sum = 0;
          int count = 0;
          for (int64_t h = first(i, oh, in[1]); h < last(i, oh, in[1]); ++h)
            for (int64_t w = first(j, ow, in[2]); w < last(j, ow, in[2]); ++w, ++count)
              sum += x[size_t(((n * in[1] + h) * in[2] + w) * in[3] + c)];
          y.push_back(sum / count);
        }
  return y;
}

// For every token of every window the number of its pixel, -1 in the padding.
inline std::vector<int64_t> window_pixels(const Shape& x, const WindowSpec& s) {
  const int64_t h = s.window[0], w = s.window[1];
  const int64_t rows = (x[1] + h - 1) / h, columns = (x[2] + w - 1) / w;
  std::vector<int64_t> pixels;
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < columns; ++c)
        for (int64_t i = 0; i < h; ++i)
          for (int64_t j = 0; j < w; ++j) {
            const int64_t top = (r * h + i + s.shift[0]) % (rows * h);
            const int64_t left = (c * w + j + s.shift[1]) % (columns * w);
            pixels.push_back(top < x[1] && left < x[2] ? (n * x[1] + top) * x[2] + left : -1);
          }
  return pixels;
}

inline Values softmax(size_t classes, const Values& x);

inline Values attention(size_t n, size_t t, size_t c, size_t heads, const Values& qkv,
                        const Values& bias = {}, const Values& mask = {}) {
  Values y(n * t * c);
  const size_t d = c / heads;
  for (size_t i = 0; i < n; ++i)
    for (size_t h = 0; h < heads; ++h)
      for (size_t a = 0; a < t; ++a) {
        auto at = [&](size_t token, size_t part) { return (i * t + token) * 3 * c + part * c + h * d; };
        Values score(t, 0.0);
        for (size_t b = 0; b < t; ++b)
          for (size_t j = 0; j < d; ++j)
            score[b] += qkv[at(a, 0) + j] * qkv[at(b, 1) + j] / std::sqrt(double(d));
        for (size_t b = 0; b < t; ++b) {
          if (!bias.empty()) score[b] += bias[(h * t + a) * t + b];
          if (!mask.empty()) score[b] += mask[(i * t + a) * t % mask.size() + b];
        }
        score = softmax(t, score);
        for (size_t b = 0; b < t; ++b)
          for (size_t j = 0; j < d; ++j)
            y[(i * t + a) * c + h * d + j] += score[b] * qkv[at(b, 2) + j];
      }
  return y;
}

inline Values softmax(size_t classes, const Values& x) {
  Values y(x.size());
  for (size_t row = 0; row < x.size(); row += classes) {
    double total = 0;
    for (size_t j = 0; j < classes; ++j) total += std::exp(x[row + j]);
    for (size_t j = 0; j < classes; ++j) y[row + j] = std::exp(x[row + j]) / total;
  }
  return y;
}

inline double cross_entropy(size_t classes, const Values& x, const std::vector<int32_t>& labels,
                            const CrossEntropySpec& spec) {
  Values p = softmax(classes, x);
  auto weight = [&](size_t j) {
    return spec.class_weights.defined() ? double(spec.class_weights.data()[j]) : 1.0;
  };
  double loss = 0, total = 0, smoothing = double(spec.label_smoothing);
  for (size_t i = 0; i < labels.size(); ++i) {
    auto label = size_t(labels[i]);
    loss -= (1 - smoothing) * weight(label) * std::log(p[i * classes + label]);
    for (size_t j = 0; j < classes; ++j)
      loss -= smoothing / double(classes) * weight(j) * std::log(p[i * classes + j]);
    total += weight(label);
  }
  return loss / total;
}

}  // namespace graft::reference
