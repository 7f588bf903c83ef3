// B1: batch norm in training with ReLU, with and without a residual, both directions, at
// ResNet-50's sizes; against graphs of cuDNN, whose backward pass reads a bit in place of each y.
#include "kernels/norm.h"

#include <memory>

#include "bench/cuda/timed.h"
#ifdef GRAFT_WITH_VENDOR
#include "kernels/vendor/norm.h"
#endif

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

#ifdef GRAFT_WITH_VENDOR
vendor::NormMaps maps_of(const Map& m) { return {kBatch, m.side, m.side, m.channels, kType}; }

std::function<void(int)> their_forward(const Map& m, bool residual, int sets) {
  auto a = arrays_of(m, sets);
  return [=](int i) {
    vendor::batch_norm_relu(maps_of(m), a->x.at(i), a->row(2), a->row(3),
                            residual ? a->residual.at(i) : nullptr, 1e-5f, a->row(0), a->row(1),
                            a->y.at(i), {});
  };
}

std::function<void(int)> their_backward(const Map& m, bool residual, int sets) {
  auto a = arrays_of(m, sets);
  return [=](int i) {  // y's memory serves as bits, of which half are set
    vendor::batch_norm_relu_backward(
        maps_of(m), {a->x.at(i), a->row(2), a->row(0), a->row(1), a->y.at(i)}, a->dy.at(i),
        {a->dx.at(i), a->row(4), a->row(5), residual ? a->residual.at(i) : nullptr}, {});
  };
}
#else
constexpr std::function<void(int)> (*their_forward)(const Map&, bool, int) = nullptr;
constexpr std::function<void(int)> (*their_backward)(const Map&, bool, int) = nullptr;
#endif

struct Case {
  Map map;
  bool residual;

  double bytes() const { return 2.0 * double(kBatch * map.side * map.side * map.channels); }
  int sets() const { return sets_for(5 * bytes()); }
  std::string name() const {
    return "B1/batch_norm_relu" + std::string(residual ? "_add_" : "_") + std::to_string(map.side) +
           "x" + std::to_string(map.channels) + "_";
  }
};

// `passes` over memory, one more with a residual.
void add_direction(const Case& c, const char* direction, int passes,
                   std::function<void(int)> (*own)(const Map&, bool, int),
                   std::function<void(int)> (*theirs)(const Map&, bool, int)) {
  for (auto [source, prepare] : {std::pair("own", own), {"vendor", theirs}})
    if (prepare)
      add({.name = c.name() + direction + "/bf16/" + source,
           .bytes = (passes + c.residual) * c.bytes(),
           .prepare = [=, prepare = prepare] { return prepare(c.map, c.residual, c.sets()); },
           .sets = c.sets()});
}

}  // namespace

void add_norm() {
  for (const Map& map : kMaps)
    for (bool residual : {false, true}) {  // x is read twice, dy and x twice backwards
      add_direction({map, residual}, "forward", 3, forward, their_forward);
      add_direction({map, residual}, "backward", 7, backward, their_backward);
    }
}

}  // namespace graft::bench
