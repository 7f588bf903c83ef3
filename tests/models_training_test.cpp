// Whole networks in training: the same bits from the same seed, and what is frozen stays.
#include <gtest/gtest.h>

#include <set>

#include "core/autograd.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

struct Outcome {
  std::vector<float> losses;
  TensorMap values;
};

Outcome train(const std::string& name, const std::string& plan, uint64_t seed, int steps = 5,
              OptimizerOptions options = {}) {
  auto model = make_model(name, 10, seed);
  freeze(*model, plan);
  Optimizer optimizer(*model, options);
  Outcome run;
  for (int step = 0; step < steps; ++step) {
    set_random_step(*model, seed, uint64_t(step));
    Tensor x = normal({6, 40, 40, 3}, uint64_t(step));
    run.losses.push_back(train_step(*model, optimizer, x, labels_of(6, 10)));
  }
  run.values = snapshot(*model);
  return run;
}

TEST(Training, SameSeedSameBits) {
  for (const char* name : {"resnet10_small", "squeezenet1_1"})
    for (const char* plan : {"none", "trunk"}) {
      SCOPED_TRACE(fmt::format("{}, {}", name, plan));
      Outcome a = train(name, plan, 3), b = train(name, plan, 3), c = train(name, plan, 4);
      EXPECT_EQ(a.losses, b.losses);
      EXPECT_TRUE(changed(a.values, b.values).empty());
      EXPECT_NE(a.losses, c.losses);
    }
}

TEST(Training, ForwardTwiceGivesTheSameBits) {
  auto model = make_model("resnet18", 10, 1);
  NoGrad off;
  Tensor x = normal({5, 64, 64, 3}, 1), y = (*model)(x);
  EXPECT_TRUE(same_bits(y, (*model)(x)));
}

TEST(Training, LossFalls) {
  auto model = make_model("resnet10_small", 10, 1);
  Optimizer optimizer(*model, {});
  Tensor x = normal({8, 32, 32, 3}, 1);
  float first = train_step(*model, optimizer, x, labels_of(8, 10), 0.02), last = first;
  for (int step = 0; step < 15; ++step)
    last = train_step(*model, optimizer, x, labels_of(8, 10), 0.02);
  EXPECT_LT(last, 0.3f * first);
}

class Frozen : public testing::TestWithParam<const char*> {};

// In a real network, under AdamW with weight decay: exactly what the plan says, to the bit.
TEST_P(Frozen, StaysToTheBit) {
  auto model = make_model("resnet10_small", 10, 1);
  freeze(*model, GetParam());
  TensorMap before = snapshot(*model);
  std::set<std::string> frozen;
  for (auto& [path, tensor] : frozen_tensors(*model)) frozen.insert(path);
  Optimizer optimizer(*model, {.kind = OptimizerOptions::Kind::adamw, .weight_decay = 0.1});
  for (int step = 0; step < 3; ++step) {
    train_step(*model, optimizer, normal({6, 32, 32, 3}, uint64_t(step)), labels_of(6, 10));
    model->eval();  // an evaluation in between, which folds norms, must not show
    NoGrad off;
    (*model)(normal({2, 32, 32, 3}, 9));
  }
  std::set<std::string> stayed;
  for (auto& [path, tensor] : snapshot(*model))
    if (same_bits(tensor, before.at(path))) stayed.insert(path);
  EXPECT_EQ(stayed, frozen);
}

INSTANTIATE_TEST_SUITE_P(Training, Frozen,
                         testing::Values("trunk", "until:layer4", "none", "50%", "layer[12]*",
                                         "trunk,bn=train", "trunk,bn=affine", "trunk,bn=stats",
                                         "bn=frozen", "trunk,!layer2", "*.conv1"));

}  // namespace
}  // namespace graft
