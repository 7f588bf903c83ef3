// A step of training as one launch: the bits of the step that is queued call by call.
#include "kernels/runtime.h"
#include "tests/step_case.h"

namespace graft::tests {
namespace {

void expect_same(const Case& c) {
  const Outcome eager = train(c, false), captured = train(c, true);
  EXPECT_TRUE(captured.captured) << captured.refused;
  EXPECT_FALSE(eager.captured);
  expect_same_bits(eager, captured);
}

TensorMap parameters_of(Module& model) {
  TensorMap all;
  each_param(model, [&](const std::string& path, Param& p) { all[path] = p.clone(Device::cpu); });
  return all;
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
               .ema = 0.9, .pull = 0.1, .evaluated = true});
}

// The last step's gradients are not finite: it teaches nothing, and leaves the average as it is.
TEST_F(DeviceStep, F16WhereTheLossScaleIsTooLarge) {
  const Case c{.network = smallest, .activations = DType::f16, .loss_scale = 0x1p30, .ema = 0.9,
               .weighted = true, .batches = {2, 2, 2, 2}};
  expect_same(c);
  EXPECT_EQ(train(c, true).norms.back(), -1);
}

// Of logits 3e38 and -3e38 the loss is infinite and its gradient is not.
TEST_F(DeviceStep, AnInfiniteLossTeachesNothing) {
  for (bool may_capture : {false, true}) {
    Learner run({.network = smallest, .ema = 0.9});
    TrainingStep step = run.step(may_capture);
    for (int i = 0; i < 2; ++i) step.run(batch_of(2, 0), numbers_of(run.c, i));
    each_param(*run.model, [](const std::string& path, Param& p) {
      if (path == "head.0.bias") p.copy_from(Tensor::from({4}, {3e38f, -3e38f, 0, 0}));
    });
    const TensorMap before = parameters_of(*run.model), moments = run.optimizer->state();
    const TensorMap means = run.average->state();
    const StepResult result = step.run(batch_of(2, 0), numbers_of(run.c, 2));
    EXPECT_EQ(step.captured(), may_capture);
    EXPECT_TRUE(std::isinf(result.loss)) << result.loss;
    EXPECT_FALSE(result.norm);
    EXPECT_TRUE(changed(before, parameters_of(*run.model)).empty());
    EXPECT_TRUE(changed(moments, run.optimizer->state()).empty());
    EXPECT_TRUE(changed(means, run.average->state()).empty());
  }
}

TEST_F(DeviceStep, CosineHead) { expect_same({.plan = "trunk", .head = "cosine"}); }

TEST_F(DeviceStep, SwinV2) {
  for (DType activations : {DType::f32, DType::bf16})
    expect_same({.network = small_swin, .optimizer = {.kind = OptimizerOptions::Kind::adamw},
                 .activations = activations, .ema = 0.9, .evaluated = true});
}

// Sums and patches, by turns as they are drawn.
TEST_F(DeviceStep, ImagesThatAreTwo) {
  const Case c{.network = smallest, .mix = {.mixup = 0.4, .cutmix = 1}, .weighted = true,
               .batches = {3, 3, 2, 3, 3, 3}};
  bool patches = false, sums = false;
  for (int step = 0; step < int(c.batches.size()); ++step)
    (numbers_of(c, step).mix->patch ? patches : sums) = true;
  EXPECT_TRUE(patches && sums);
  expect_same(c);
  Case half = c;
  half.activations = DType::bf16;
  expect_same(half);
}

TEST_F(DeviceStep, ImagesThatAreTwoAreThoseOfTheProcessor) {
  const Mix mix = draw_mix({.mixup = 1}, 3, kSide, Random(1, "mix"));
  const Tensor pixels = batch_of(3, 1).images;
  MixTensors t = tensors_of(mix, labels_of(3, kClasses));
  const Normalization n{1.0f / 255, {0.4f, 0.5f, 0.6f}, {0.2f, 0.3f, 0.4f}};
  const Tensor want = normalize_mixed(pixels, n, t.pixels);
  for (Tensor* number : {&t.pixels.partners, &t.pixels.share, &t.pixels.box})
    *number = number->to(Device::cuda);
  const Tensor got = normalize_mixed(pixels.to(Device::cuda), n, t.pixels);
  EXPECT_TRUE(same_bits(got.to(Device::cpu), want));
}

TEST_F(DeviceStep, LossesOfImagesThatAreTwoAreThoseOfTheProcessor) {
  Case c{.network = smallest, .mix = {.mixup = 0.4, .cutmix = 1}, .batches = {3, 3, 3}};
  const Outcome there = train(c, true);
  c.device = Device::cpu;
  const Outcome here = train(c, true);
  for (size_t i = 0; i < here.losses.size(); ++i)
    EXPECT_NEAR(there.losses[i], here.losses[i], 1e-5 * here.losses[i]) << i;
}

// Phases of training: each has a step of its own, of the same model.
TEST_F(DeviceStep, WhatLearnsMayChange) {
  auto train_in_phases = [](bool may_capture) {
    Learner run({.network = smallest, .plan = "trunk"});
    for (const char* plan : {"trunk", "none,bn=frozen", "none"}) {
      run.learn(plan);
      TrainingStep step = run.step(may_capture);
      for (int i = 0; i < 3; ++i) step.run(batch_of(2, uint64_t(i)), numbers_of(run.c, i));
      EXPECT_EQ(step.captured(), may_capture) << plan;
    }
    return snapshot(*run.model);
  };
  EXPECT_TRUE(changed(train_in_phases(false), train_in_phases(true)).empty());
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

// Whichever call of a step that is captured fails: until it is launched, it runs call by call. What
// fails elsewhere is an error.
TEST_F(DeviceStepFaults, OneFailureLosesNothing) {
  const Case all{.network = smallest, .ema = 0.9, .pull = 0.1, .mix = {.mixup = 1},
                 .batches = {1, 1}};
  const Outcome whole = train(all, false);
  sim::inject({});
  const std::vector<long> calls = train(all, true).calls;
  int refused = 0, failed = 0;
  for (long n = calls[0] + 1; n <= calls[1]; ++n) {
    sim::inject({.fail_at = n});
    try {
      const Outcome outcome = train(all, true);
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
  EXPECT_GT(refused, 200);
  EXPECT_GT(failed, 20);
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
