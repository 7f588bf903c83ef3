// A step of training as one launch: the bits of the step that is queued call by call.
#include "kernels/runtime.h"
#include "layers/stochastic_depth.h"
#include "models/training_step.h"
#include "models/zoo.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

#ifdef GRAFT_CUSIM
#include "tests/cusim/runtime_sim.h"
#endif

namespace graft::tests {
namespace {

constexpr int64_t kSide = 8, kClasses = 4;

struct Case {
  std::string network = "resnet10_small", plan = "none";
  OptimizerOptions optimizer{.momentum = 0.9};
  DType activations = DType::f32;
  double loss_scale = 1, ema = 0, pull = 0;
  float dropout = 0;
  std::vector<int64_t> batches{2, 2, 2};
};

struct Outcome {
  std::vector<double> losses, norms;
  TensorMap values, moments, means;  // on the processor
  std::vector<long> launches;        // of each step
  std::string refused;
  bool captured = false;
};

Batch batch_of(int64_t images, uint64_t seed) {
  Batch batch;
  batch.images = Tensor({images, kSide, kSide, 3}, DType::u8);
  Random random(seed, "pixels");
  auto* pixels = batch.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < batch.images.size(); ++i) pixels[i] = uint8_t(random.next());
  batch.labels = labels_of(images, kClasses);
  return batch;
}

// Rates fall, and the loss scale doubles: what differs from step to step.
StepNumbers numbers_of(const Case& c, int step) {
  const double scale = c.loss_scale == 1 ? 1 : c.loss_scale * (step < 2 ? 1 : 2);
  return {.seed = 7, .step = uint64_t(step), .rate = 0.05 / (1 + step), .loss_scale = scale};
}

struct Learner {
  explicit Learner(const Case& c) : c(c), model(make_model(c.network, kClasses, 1)) {
    model->place(Device::cuda, c.activations);
    freeze(*model, c.plan);
    each_module(*model, [&](auto&, Module& m) {
      if (auto* dropout = dynamic_cast<Dropout*>(&m)) dropout->p = c.dropout;
    });
    model->train();
    optimizer = std::make_unique<Optimizer>(*model, c.optimizer);
    if (c.pull > 0) pull = std::make_unique<L2Sp>(*model, model->head_path(), c.pull);
    if (c.ema > 0) average = std::make_unique<Ema>(*model, c.ema);
  }

  TrainingStep step(bool may_capture) {
    return TrainingStep({.model = *model,
                         .optimizer = *optimizer,
                         .loss = {.label_smoothing = 0.1f},
                         .pull = pull.get(),
                         .average = average.get()},
                        may_capture);
  }

  Case c;
  std::unique_ptr<Classifier> model;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<L2Sp> pull;
  std::unique_ptr<Ema> average;
};

long launches() {
#ifdef GRAFT_CUSIM
  return cuda::sim::launches();
#else
  return 0;
#endif
}

Outcome train(const Case& c, bool may_capture) {
  Learner run(c);
  Outcome outcome;
  TrainingStep step = run.step(may_capture);
  step.refused = [&](const std::string& why) { outcome.refused = why; };
  for (size_t i = 0; i < c.batches.size(); ++i) {
    const long before = launches();
    const StepResult result = step.run(batch_of(c.batches[i], i), numbers_of(c, int(i)));
    outcome.launches.push_back(launches() - before);
    outcome.losses.push_back(result.loss);
    outcome.norms.push_back(result.norm.value_or(-1));
  }
  outcome.captured = step.captured();
  outcome.values = snapshot(*run.model);
  outcome.moments = run.optimizer->state();
  if (run.average) outcome.means = run.average->state();
  return outcome;
}

void expect_same(const Case& c) {
  const Outcome eager = train(c, false), captured = train(c, true);
  EXPECT_TRUE(captured.captured) << captured.refused;
  EXPECT_FALSE(eager.captured);
  EXPECT_EQ(eager.losses, captured.losses);
  EXPECT_EQ(eager.norms, captured.norms);
  EXPECT_TRUE(changed(eager.values, captured.values).empty());
  EXPECT_TRUE(changed(eager.moments, captured.moments).empty());
  EXPECT_TRUE(changed(eager.means, captured.means).empty());
}

class DeviceStep : public DeviceTest {};

// One batch of the four has another size.
TEST_F(DeviceStep, EverythingLearns) { expect_same({.batches = {2, 2, 3, 2}}); }

TEST_F(DeviceStep, AdamWWithClippingWhereNormsTakeStatisticsOnly) {
  expect_same({.plan = "until:layer4,bn=stats",
               .optimizer = {.kind = OptimizerOptions::Kind::adamw, .weight_decay = 0.1,
                             .decay_all = false, .clip_norm = 0.5}});
}

TEST_F(DeviceStep, F16WithLossScaleAverageAndPull) {
  expect_same({.plan = "trunk,!layer4.0.conv2", .activations = DType::f16, .loss_scale = 1024,
               .ema = 0.9, .pull = 0.1});
}

// A layer that draws finds the number of the step at each launch.
TEST_F(DeviceStep, WhatIsDrawnIsDrawnAnew) {
  Sequential net;
  net.add(Linear(3, 6)).add(Dropout(0.4f)).add(StochasticDepth(0.5f));
  initialize(net, 1);
  move_to(net, Device::cuda);
  net.train();
  const Tensor x = normal({16, 3}, 1).to(Device::cuda);
  Tensor y = Tensor::zeros({16, 6}, DType::f32, Device::cuda);
  auto run = [&] { y.copy_from(net(x)); };
  set_random_step(net, 1, 0);
  CapturedWork work(run);
  for (uint64_t step = 1; step < 4; ++step) {
    set_random_step(net, 1, step);
    run();
    const Tensor want = y.to(Device::cpu);
    y.clear();
    work.launch();
    EXPECT_TRUE(same_bits(y.to(Device::cpu), want)) << step;
  }
}

// What differs from step to step and is no tensor stays as it was, which the tests above see.
TEST_F(DeviceStep, NumbersOfTheProcessorAreFixed) {
  const Tensor x = Tensor::full({4}, 1).to(Device::cuda);
  Tensor y = Tensor::zeros({4}, DType::f32, Device::cuda);
  float factor = 2;
  CapturedWork work([&] { y.copy_from(scale(x, factor)); });
  factor = 3;
  work.launch();
  EXPECT_EQ(y.to(Device::cpu).data()[0], 2);
}

TEST_F(DeviceStep, WhatNeedsTheProcessorIsRefused) {
  const Tensor x = Tensor::full({4}, 1);
  Tensor there = Tensor::zeros({4}, DType::f32, Device::cuda);
  int changes = 0;
  auto noted = [&] { at_each_launch([&] { ++changes; }); };
  EXPECT_THROW(CapturedWork([&] { noted(), there.copy_from(x); }), cuda::DeviceError);
  EXPECT_THROW(CapturedWork([&] { noted(), sum(there).item(); }), cuda::DeviceError);
  EXPECT_EQ(changes, 0);
  noted();
  EXPECT_EQ(changes, 1);
}

#ifdef GRAFT_CUSIM
namespace sim = cuda::sim;

class DeviceStepFaults : public DeviceTest {
 protected:
  void TearDown() override { sim::reset(); }  // which refuses blocks that were never released
  const Case c{.plan = "trunk", .batches = {1, 1, 1}};
};

TEST_F(DeviceStepFaults, OneLaunchForAStep) {
  const Case smaller{.plan = "trunk", .batches = {2, 2, 1, 2}};
  const Outcome eager = train(smaller, false), captured = train(smaller, true);
  EXPECT_GT(eager.launches[1], 30);
  EXPECT_EQ(eager.losses, captured.losses);
  EXPECT_TRUE(changed(eager.values, captured.values).empty());
  EXPECT_EQ(captured.launches, (std::vector<long>{eager.launches[0], 1, eager.launches[2], 1}));
}

// Whatever fails while a step is captured: it runs call by call. What fails elsewhere is an error.
TEST_F(DeviceStepFaults, OneFailureLosesNothing) {
  const Outcome whole = train(c, false);
  sim::inject({});
  train(c, true);
  const long calls = sim::calls();
  int refused = 0, failed = 0;
  for (long n = 1; n <= calls; n += std::max(1l, calls / 12)) {
    sim::inject({.fail_at = n});
    try {
      const Outcome outcome = train(c, true);
      refused += !outcome.refused.empty();
      EXPECT_EQ(outcome.losses, whole.losses) << "call " << n << ": " << outcome.refused;
      EXPECT_TRUE(changed(outcome.values, whole.values).empty()) << "call " << n;
    } catch (const cuda::DeviceError&) {
      ++failed;
    } catch (const cuda::OutOfMemory&) {
      ++failed;
    }
    sim::reset();
  }
  EXPECT_GT(refused, 1);
  EXPECT_GT(failed, 1);
}

// The graph finds none, then the step that runs call by call does not either.
TEST_F(DeviceStepFaults, TooLittleMemoryIsSaid) {
  Learner run(c);
  TrainingStep step = run.step(true);
  std::string why;
  step.refused = [&](const std::string& refused) { why = refused; };
  step.run(batch_of(1, 0), numbers_of(c, 0));
  cuda::synchronize_device();
  sim::inject({.budget = cuda::device_memory().live + 10000});
  EXPECT_THROW(step.run(batch_of(1, 1), numbers_of(c, 1)), cuda::OutOfMemory);
  EXPECT_NE(why.find("out of device memory for a graph"), std::string::npos) << why;
  sim::inject({});
  EXPECT_TRUE(step.run(batch_of(1, 1), numbers_of(c, 1)).norm);
}

TEST_F(DeviceStepFaults, StickyErrorsAreErrors) {
  Learner run(c);
  TrainingStep step = run.step(true);
  step.run(batch_of(1, 0), numbers_of(c, 0));
  sim::inject({.fail_at = 20, .sticky = true});
  EXPECT_THROW(step.run(batch_of(1, 1), numbers_of(c, 1)), cuda::DeviceError);
  EXPECT_FALSE(step.captured());
}
#endif

}  // namespace
}  // namespace graft::tests
