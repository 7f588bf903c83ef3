// B1: batch norm in training with ReLU, with and without a residual, both directions, at
// ResNet-50's sizes.
#include "kernels/norm.h"

#include <memory>

#include "bench/cuda/timed.h"

namespace graft::bench {
namespace {

constexpr DType kType = DType::bf16;

struct Map {
  int64_t side, channels;
};
constexpr Map kMaps[] = {{56, 64}, {56, 256}, {28, 512}, {14, 1024}, {7, 2048}};
constexpr int64_t kBatch = 256;

struct Arrays {
  Buffer x, y, residual, dy, dx;
  Buffer channels;  // (7, channels) f32: mean, rstd, gamma, beta, dgamma, dbeta, var
  int64_t c;
  float* row(int i) const { return channels.at<float>(0) + i * c; }
  NormProblem problem(int64_t rows) const {
    return {rows, c, row(0), row(1), row(2), row(3), Activation::relu};
  }
};

std::shared_ptr<Arrays> arrays_of(const Map& m, int sets) {
  const int64_t size = kBatch * m.side * m.side * m.channels;
  return std::make_shared<Arrays>(Buffer(kType, size, sets), Buffer(kType, size, sets),
                                  Buffer(kType, size, sets), Buffer(kType, size, sets),
                                  Buffer(kType, size, sets), Buffer(DType::f32, 7 * m.channels, 1),
                                  m.channels);
}

std::function<void(int)> forward(const Map& m, bool residual, int sets) {
  auto a = arrays_of(m, sets);
  const int64_t rows = kBatch * m.side * m.side;
  return [=](int i) {
    cuda::batch_norm_statistics(rows, a->c, a->x.at<bf16>(i),
                                {.mean = a->row(0), .rstd = a->row(1), .eps = 1e-5f}, {});
    cuda::batch_norm_forward(a->problem(rows), a->x.at<bf16>(i),
                             residual ? a->residual.at<bf16>(i) : nullptr, a->y.at<bf16>(i), {});
  };
}

std::function<void(int)> backward(const Map& m, bool residual, int sets) {
  auto a = arrays_of(m, sets);
  const int64_t rows = kBatch * m.side * m.side;
  return [=](int i) {
    const cuda::NormGradients<bf16> out{a->dx.at<bf16>(i), a->row(4), a->row(5),
                                        residual ? a->residual.at<bf16>(i) : nullptr};
    cuda::batch_norm_backward_train(a->problem(rows), a->x.at<bf16>(i), a->y.at<bf16>(i),
                                    a->dy.at<bf16>(i), out, {});
  };
}

}  // namespace

void add_norm() {
  for (const Map& m : kMaps)
    for (bool residual : {false, true}) {
      const double map = 2.0 * double(kBatch * m.side * m.side * m.channels);
      const int sets = sets_for(5 * map);
      const std::string name = "B1/batch_norm_relu" + std::string(residual ? "_add_" : "_") +
                               std::to_string(m.side) + "x" + std::to_string(m.channels) + "_";
      const double arrays = residual ? 1 : 0;  // x is read twice, dy and x twice backwards
      add({.name = name + "forward/bf16/own",
           .bytes = (3 + arrays) * map,
           .prepare = [=] { return forward(m, residual, sets); },
           .sets = sets});
      add({.name = name + "backward/bf16/own",
           .bytes = (7 + arrays) * map,
           .prepare = [=] { return backward(m, residual, sets); },
           .sets = sets});
    }
}

}  // namespace graft::bench
