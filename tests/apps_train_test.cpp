// What graft train says and decides by numbers: weights of classes, a rate to begin with, whether a head
// is solved, and whether what was frozen is as it was.
#include <gtest/gtest.h>

#include <cmath>

#include "apps/find_lr.h"
#include "apps/solving.h"
#include "apps/train_checkpoint.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"
#include "tests/loader_data.h"

namespace graft::app {
namespace {

using End = LbfgsResult::End;

Dataset with_sizes(const std::vector<int>& sizes) {
  Dataset data;
  for (size_t label = 0; label < sizes.size(); ++label) {
    data.classes.push_back(std::to_string(label));
    for (int i = 0; i < sizes[label]; ++i) data.samples.push_back({"", int(label)});
  }
  return data;
}

TEST(BalancedWeights, EachClassCountsTheSame) {
  const Tensor weights = balanced_weights(with_sizes({12, 4, 2}));  // 6 of each on average
  ASSERT_EQ(weights.shape(), Shape({3}));
  EXPECT_FLOAT_EQ(weights.data()[0], 0.5f);
  EXPECT_FLOAT_EQ(weights.data()[1], 1.5f);
  EXPECT_FLOAT_EQ(weights.data()[2], 3);
}

TEST(BalancedWeights, AClassWithoutImagesIsLeftAlone) {
  const Tensor weights = balanced_weights(with_sizes({6, 0, 3}));
  EXPECT_FLOAT_EQ(weights.data()[0], 0.5f);
  EXPECT_FLOAT_EQ(weights.data()[1], 1);
  EXPECT_FLOAT_EQ(weights.data()[2], 1);
}

// Rates from 1e-7 to 10, ten a decade; the loss itself, which is noisy, must not matter.
std::vector<RateTrial> sweep(const std::function<double(double)>& smoothed) {
  std::vector<RateTrial> trials;
  for (int i = 0; i <= 80; ++i) {
    const double exponent = -7 + 0.1 * i;
    trials.push_back({std::pow(10, exponent), i % 2 ? 0.0 : 9.0, smoothed(exponent)});
  }
  return trials;
}

TEST(SuggestedRate, IsWhereTheLossFallsFastest) {
  for (double steepest : {-5.0, -3.0, -2.2}) {
    const auto trials = sweep([&](double exponent) {
      const double fall = 1 / (1 + std::exp(-(exponent - steepest) / 0.3));
      return 2 - 1.5 * fall + std::exp(8 * exponent);  // and explodes at 1
    });
    EXPECT_NEAR(std::log10(suggested_rate(trials)), steepest, 0.11);
  }
}

TEST(SuggestedRate, OfALossThatNeverFallsThereIsNone) {
  EXPECT_EQ(suggested_rate(sweep([](double exponent) { return exponent; })), 0);
  EXPECT_EQ(suggested_rate(sweep([](double) { return 1; })), 0);
  EXPECT_EQ(suggested_rate({{1e-7, 2, 2}, {1e-6, 1, 1}}), 0);
  EXPECT_EQ(suggested_rate({}), 0);
}

TEST(Solving, OnlyARoughSolutionIsWarnedOf) {
  LbfgsResult near{End::precision, 12, 0.5, 9e-5}, far{End::precision, 12, 0.5, 3e-3};
  EXPECT_EQ(told(near, {}), "head solved: 12 iterations, gradient 9.0e-05, no lower in single precision");
  const std::string both = told(far, {});
  EXPECT_NE(both.find("\nwarning: the head is solved roughly: a gradient of 3.0e-03 is left where 1.0e-05"),
            both.npos) << both;
}

TEST(Solving, TheWarningGoesToStderr) {  // single precision never comes as near as is asked here
  test::Data data(12);
  auto model = make_model("resnet10_small", 3, 7);
  freeze(*model, "trunk");
  const Transform transform(model->preprocess);
  Loader training(data.set, transform, {.batch = 4}), validation(data.set, transform, {.batch = 4});
  SolvingSettings settings{.images = 12, .val_images = 12, .method = "lbfgs"};
  settings.solver.lbfgs.tolerance = 1e-12;
  Progress progress;
  testing::internal::CaptureStderr();
  const bool ended = solve(*model, training, validation, settings, progress, {});
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_TRUE(ended);
  EXPECT_NE(said.find("warning: the head is solved roughly"), said.npos) << said;
}

TEST(ProveFrozen, AnyTensorThatMovedIsNamed) {
  TrainRun run;
  run.model = make_model("resnet10_small", 3, 7);
  freeze(*run.model, "trunk");
  run.frozen_hashes = hash_frozen(*run.model);
  each_param(*run.model, [](const std::string& path, Param& p) {
    if (path == "fc.weight") p.mutable_data()[0] += 1;  // which learns
  });
  EXPECT_NO_THROW(prove_frozen(run));
  each_param(*run.model, [&](const std::string& path, Param& p) {
    if (path != "layer2.0.conv1.weight") return;
    float& value = p.mutable_data()[5];
    const float before = value;
    value = std::nextafter(value, 1e9f);
    const std::string why = tests::error_of([&] { prove_frozen(run); }, Fault::internal);
    EXPECT_NE(why.find(path), why.npos) << why;
    p.mutable_data()[5] = before;
  });
  each_buffer(*run.model, [&](const std::string& path, Tensor& t) {
    if (path == "bn1.running_mean") t.mutable_data()[0] += 1;
  });
  const std::string why = tests::error_of([&] { prove_frozen(run); }, Fault::internal);
  EXPECT_NE(why.find("bn1.running_mean"), why.npos) << why;
}

}  // namespace
}  // namespace graft::app
