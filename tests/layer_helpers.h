// For tests of layers/ and models/: random tensors, equality of bits, "this must be an Error", and
// a small network with every kind of layer.
#pragma once
#include <gtest/gtest.h>

#include <cstring>

#include "core/random.h"
#include "core/tensor_map.h"
#include "layers/activation.h"
#include "layers/conv_norm_act.h"
#include "layers/dropout.h"
#include "layers/freeze.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/optimizer.h"
#include "layers/pool.h"
#include "layers/sequential.h"

namespace graft::tests {

inline Tensor normal(Shape shape, uint64_t seed, float deviation = 1) {
  Random random(seed, "test");
  Tensor t(std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.mutable_data()[i] = deviation * random.normal();
  return t;
}

inline Tensor uniform(Shape shape, uint64_t seed, float low, float high) {
  Random random(seed, "test");
  Tensor t(std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.mutable_data()[i] = random.uniform(low, high);
  return t;
}

inline Tensor labels_of(int64_t n, int classes) {
  Tensor t({n}, DType::i32);
  for (int64_t i = 0; i < n; ++i) t.mutable_data<int32_t>()[i] = int32_t(i % classes);
  return t;
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

inline void expect_close(const Tensor& a, const Tensor& b, double share) {
  ASSERT_EQ(a.shape(), b.shape());
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::abs(double(b.data()[i])));
    difference = std::max(difference, std::abs(double(a.data()[i]) - double(b.data()[i])));
  }
  EXPECT_LE(difference, share * largest);
}

// The message of the Error that f throws.
template <class F>
std::string error_of(F f, Fault fault) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(int(e.fault), int(fault)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

inline void randomise(BatchNorm2d& norm, uint64_t seed) {
  int64_t c = norm.weight.size();
  norm.weight.copy_from(uniform({c}, seed, 0.5f, 1.5f));
  norm.bias.copy_from(normal({c}, seed + 1, 0.3f));
  norm.running_mean.copy_from(normal({c}, seed + 2, 0.3f));
  norm.running_var.copy_from(uniform({c}, seed + 3, 0.5f, 2.0f));
}

// Copies of every parameter and buffer in the order of memory, on the processor.
inline TensorMap snapshot(Module& model) {
  TensorMap all;
  each_param(model, [&](auto& path, Param& p) { all[path] = p.clone(Device::cpu); });
  each_buffer(model, [&](auto& path, Tensor& t) { all[path] = t.clone(Device::cpu); });
  return all;
}

inline std::vector<std::string> changed(const TensorMap& before, const TensorMap& after) {
  std::vector<std::string> names;
  for (auto& [name, tensor] : after)
    if (!before.contains(name) || !same_bits(tensor, before.at(name))) names.push_back(name);
  return names;
}

// Two blocks and a head: (N,H,W,3) -> (N,4).
class SmallNet : public Module {
 public:
  explicit SmallNet(uint64_t seed = 1)
      : conv1(3, 8, {.kernel = 3, .padding = 1, .bias = false}), bn1(8), fc(6, 4) {
    block.add(Conv2d(8, 6, {.kernel = 3, .stride = 2})).add(BatchNorm2d(6)).add(relu_layer());
    initialize(*this, seed);
    uint64_t i = seed;
    each_module(*this, [&](auto&, Module& m) {
      if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) randomise(*norm, i += 10);
    });
  }
  Tensor forward(Tensor x) override {
    x = conv_norm_act(std::move(x), conv1, &bn1, Activation::relu);
    return fc(global_avg_pool(block(std::move(x))));
  }
  std::string describe() const override { return "SmallNet"; }
  GRAFT_FIELDS(conv1, bn1, block, fc)

  Conv2d conv1;
  BatchNorm2d bn1;
  Sequential block;
  Linear fc;
};

// One update in train mode -> the loss before it.
inline float train_step(Module& model, Optimizer& optimizer, const Tensor& x, const Tensor& labels,
                        double rate = 0.05) {
  model.train();
  optimizer.zero_grad();
  Tensor loss = cross_entropy(model(x), labels);
  loss.backward();
  optimizer.step(rate);
  return loss.item();
}

}  // namespace graft::tests
