// Softmax and cross-entropy on CUDA against the formulas in double, in rows for a warp and for a
// block; logits far from 0, masked ones, and labels that do not exist.
#include "kernels/softmax.h"

#include <limits>

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaSoftmax : testing::Test {};
TYPED_TEST_SUITE(CudaSoftmax, Floats);

struct Shape {
  int64_t rows, classes;
};
const Shape kShapes[] = {{1, 1},   {3, 2},    {9, 7},    {8, 8},   {17, 33},
                         {5, 264}, {20, 40}, {2, 1000}, {3, 1025}};

std::string text(const Shape& s) {
  return std::to_string(s.rows) + " x " + std::to_string(s.classes);
}

std::vector<double> softmax_of(const std::vector<double>& x, size_t n) {
  std::vector<double> y(x.size());
  for (size_t at = 0; at < x.size(); at += n) {
    const double top = *std::max_element(x.begin() + long(at), x.begin() + long(at + n));
    double total = 0;
    for (size_t j = at; j < at + n; ++j) total += y[j] = std::exp(x[j] - top);
    for (size_t j = at; j < at + n; ++j) y[j] /= total;
  }
  return y;
}

TYPED_TEST(CudaSoftmax, ForwardAndGradient) {
  using T = TypeParam;
  on_device([] {
    for (Shape s : kShapes)
      for (size_t offset : {0, 1}) {
        SCOPED_TRACE(text(s));
        const auto n = size_t(s.rows * s.classes), c = size_t(s.classes);
        auto x = reals<T>(n, 1, 100, 104);
        if (c > 1) x[c - 1] = T(-std::numeric_limits<float>::infinity());  // masked
        const auto dy = reals<T>(n, 2, -1, 1);
        Array<T> in(x, offset), y(n, offset), g(dy, offset);
        softmax(s.rows, s.classes, in.data(), y.data(), {});
        expect_values(y, softmax_of(doubles(x), c), 2e-6);
        const std::vector<T> given = y.host();
        std::vector<double> dx(n);
        for (size_t at = 0; at < n; at += c) {
          double inner = 0;
          for (size_t j = at; j < at + c; ++j)
            inner += double(float(given[j])) * double(float(dy[j]));
          for (size_t j = at; j < at + c; ++j)
            dx[j] = double(float(given[j])) * (double(float(dy[j])) - inner);
        }
        softmax_backward(s.rows, s.classes, y.data(), g.data(), g.data(), {});  // in place
        expect_values(g, dx, 1e-6);
      }
  });
}

TYPED_TEST(CudaSoftmax, CrossEntropy) {
  using T = TypeParam;
  on_device([] {
    for (Shape s : kShapes)
      for (bool weighted : {false, true})
        for (float smoothing : {0.0f, 0.1f}) {
          SCOPED_TRACE(text(s) + (weighted ? " weighted" : "") + (smoothing > 0 ? " smooth" : ""));
          const auto n = size_t(s.rows * s.classes), c = size_t(s.classes);
          const auto x = reals<T>(n, 3, -50, -42);
          const auto weights = reals<float>(c, 4, 0.5f, 2);
          std::vector<int32_t> labels;
          for (size_t i = 0; i < size_t(s.rows); ++i) labels.push_back(int32_t(i * 7 % c));
          const std::vector<double> y = softmax_of(doubles(x), c);
          auto weight = [&](size_t j) { return weighted ? double(weights[j]) : 1.0; };
          double total = 0, loss = 0;
          for (int32_t label : labels) total += weight(size_t(label));
          std::vector<double> dx(n);
          for (size_t row = 0; row < labels.size(); ++row) {
            std::vector<double> target(c);
            double mass = 0;
            for (size_t j = 0; j < c; ++j) {
              target[j] = double(smoothing) / double(c) * weight(j);
              if (j == size_t(labels[row])) target[j] += (1 - double(smoothing)) * weight(j);
              mass += target[j];
            }
            for (size_t j = 0; j < c; ++j) {
              loss -= target[j] * std::log(y[row * c + j]) / total;
              dx[row * c + j] = (y[row * c + j] * mass - target[j]) / total;
            }
          }
          Array<T> logits(x), d(n);
          Array<int32_t> device_labels(labels);
          Array<float> device_weights(weights), result(1);
          const CrossEntropyProblem p{s.rows, s.classes, device_labels.data(),
                                      weighted ? device_weights.data() : nullptr, smoothing};
          cross_entropy(p, logits.data(), d.data(), result.data(), {});
          expect_values(result, {loss}, 2e-6);
          expect_values(d, dx, 1e-6);
          cross_entropy<T>(p, logits.data(), nullptr, result.data(), {});
          expect_values(result, {loss}, 2e-6);
          for (double& v : dx) v *= 64;
          cross_entropy<T>(p, logits.data(), d.data(), nullptr, {}, 64);
          expect_values(d, dx, 3e-5);
        }
  });
}

TEST(CudaCrossEntropy, LabelsThatDoNotExistGiveNaN) {
  on_device([] {
    for (int32_t bad : {-1, 5}) {
      Array<float> logits(std::vector<float>(10, 0.5f)), d(10), loss(1);
      Array<int32_t> labels(std::vector<int32_t>{2, bad});
      cross_entropy<float>({2, 5, labels.data()}, logits.data(), d.data(), loss.data(), {});
      EXPECT_TRUE(std::isnan(loss.host()[0]));
      EXPECT_FALSE(std::isnan(d.host()[0]));
    }
  });
}

}  // namespace
}  // namespace graft::cuda
