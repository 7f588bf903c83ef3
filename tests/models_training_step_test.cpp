// A step of training whose loss is not finite: it teaches nothing, and can be made again.
#include "models/training_step.h"

#include <gtest/gtest.h>

#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

constexpr int64_t kClasses = 4, kSide = 16;

struct Learner {
  Learner() : model(make_model("resnet10_small", kClasses, 1)) {
    freeze(*model, "until:layer4");
    model->train();
    optimizer = std::make_unique<Optimizer>(*model, OptimizerOptions{});
    average = std::make_unique<Ema>(*model, 0.9);
  }
  TrainingStep step() {
    return TrainingStep({.model = *model, .optimizer = *optimizer, .average = average.get()});
  }
  // Of logits 3e38 and -3e38 the loss is infinite and its gradient is not.
  void part_logits() {
    each_param(*model, [](const std::string& path, Param& p) {
      if (path == "fc.bias") p.copy_from(Tensor::from({4}, {3e38f, -3e38f, 0, 0}));
    });
  }
  TensorMap parameters() {
    TensorMap all;
    each_param(*model, [&](const std::string& path, Param& p) { all[path] = p.clone(); });
    return all;
  }
  std::unique_ptr<Classifier> model;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<Ema> average;
};

Batch batch() {
  Batch batch{.images = Tensor({3, kSide, kSide, 3}, DType::u8), .labels = Tensor({3}, DType::i32)};
  const int32_t labels[] = {1, 0, 1};
  std::copy(labels, labels + 3, batch.labels.mutable_data<int32_t>());
  Random random(3, "pixels");
  for (int64_t i = 0; i < batch.images.size(); ++i)
    batch.images.mutable_data<uint8_t>()[i] = uint8_t(random.next());
  return batch;
}

TEST(TrainingStep, AnInfiniteLossTeachesNothing) {
  Learner learner;
  TrainingStep step = learner.step();
  EXPECT_TRUE(step.run(batch(), {.rate = 0.01}).norm);
  learner.part_logits();
  const TensorMap before = learner.parameters(), moments = learner.optimizer->state(),
                  means = learner.average->state();
  const StepResult result = step.run(batch(), {.step = 1, .rate = 0.01});
  EXPECT_TRUE(std::isinf(result.loss));
  EXPECT_FALSE(result.norm);
  EXPECT_TRUE(changed(before, learner.parameters()).empty());
  EXPECT_TRUE(changed(moments, learner.optimizer->state()).empty());
  EXPECT_TRUE(changed(means, learner.average->state()).empty());
}

// So that a loss that broke of mixed images can be looked into.
TEST(TrainingStep, TheLossOfMixedImagesIsMadeAgain) {
  const Mix sum{.share = 0.4f, .partners = {1, 2, 0}};
  const Mix patch{.share = 0.5f, .partners = {2, 0, 1}, .patch = true, .box = {0, 0, kSide, kSide / 2}};
  for (const Mix& mix : {sum, patch}) {
    Learner learner;
    TrainingStep step = learner.step();
    const double mixed = step.loss_of(batch(), mix).item();
    EXPECT_NE(mixed, step.loss_of(batch(), {}).item());
    EXPECT_EQ(step.run(batch(), {.rate = 0.01, .mix = mix}).loss, mixed);
  }
}

}  // namespace
}  // namespace graft
