// Weights in 16 bits: what stays is converted once, what learns is copied by the optimiser's own
// pass; with the bits of a network that converts its weights for each step.
#include "core/autograd.h"
#include "core/cast.h"
#include "layers/self_attention.h"
#include "layers/state.h"
#include "tests/step_case.h"

namespace graft::tests {
namespace {

Tensor weight_of(const Shape& shape, uint64_t seed, bool learns) {
  Tensor w = normal(shape, seed).to(Device::cuda);
  w.requires_grad(learns);
  return w;
}

// What a step costs on the simulated device limits these tests.
std::unique_ptr<Classifier> two_convolutions() {
  Sequential trunk, head;
  trunk.add(Conv2d(3, 4, {.kernel = 4, .stride = 4})).add(BatchNorm2d(4));
  trunk.add(Conv2d(4, 8, {.kernel = 1})).add(BatchNorm2d(8));
  head.add(Linear(8, kClasses));
  auto model = std::make_unique<Chain>(Chain::Part{"trunk", std::move(trunk)},
                                       Chain::Part{"head", std::move(head)});
  initialize(*model, 1);
  return model;
}

bool is_cast_of(const Tensor& cast, const Tensor& w) {
  return same_bits(cast.to(Device::cpu), w.detach().to(cast.dtype()).to(Device::cpu));
}

class DeviceCast : public DeviceTest {};

TEST_F(DeviceCast, WhatStaysIsConvertedOnce) {
  Tensor w = weight_of({4, 3}, 1, /*learns=*/false);
  for (DType type : {DType::bf16, DType::f16}) {
    const Tensor once = cast(w, type);
    EXPECT_TRUE(is_cast_of(once, w));
    EXPECT_EQ(cast(w, type).address(), once.address());
  }
  const Tensor before = cast(w, DType::f16);
  w.copy_from(normal({4, 3}, 2));
  EXPECT_FALSE(same_bits(cast(w, DType::f16).to(Device::cpu), before.to(Device::cpu)));
  EXPECT_TRUE(is_cast_of(cast(w, DType::f16), w));
  EXPECT_EQ(cast(w, DType::f32).address(), w.address());
}

TEST_F(DeviceCast, WhatLearnsIsConvertedForEachStepButNotForEachEvaluation) {
  Tensor w = weight_of({4, 3}, 1, /*learns=*/true);
  const Tensor first = cast(w, DType::bf16);
  EXPECT_NE(cast(w, DType::bf16).address(), first.address());
  const Tensor evaluated = [&] {
    NoGrad off;
    const Tensor kept = cast(w, DType::bf16);
    EXPECT_EQ(cast(w, DType::bf16).address(), kept.address());
    return kept;
  }();
  EXPECT_NE(cast(w, DType::bf16).address(), evaluated.address());
}

TEST_F(DeviceCast, WhatItsOwnerWritesIsTakenUntilOthersWrite) {
  Tensor w = weight_of({4, 3}, 1, /*learns=*/true);
  const Tensor copy = w.detach().to(DType::bf16);
  set_cast(w, copy);
  EXPECT_TRUE(has_cast(w, copy));
  EXPECT_EQ(cast(w, DType::bf16).address(), copy.address());
  w.copy_from(normal({4, 3}, 2));
  EXPECT_FALSE(has_cast(w, copy));
  EXPECT_NE(cast(w, DType::bf16).address(), copy.address());
  for (DType type : {DType::bf16, DType::f16}) EXPECT_TRUE(is_cast_of(cast(w, type), w));
  error_of([&] { set_cast(w, Tensor({3, 4}, DType::bf16, Device::cuda)); }, Fault::data);
}

// What was converted for an evaluation is nothing for a step that is captured and changes w.
TEST_F(DeviceCast, CapturedWorkConvertsWhatItChanges) {
  Tensor w = weight_of({4}, 1, /*learns=*/true), seen({4}, DType::bf16, Device::cuda);
  seen.clear();
  {
    NoGrad off;
    cast(w, DType::bf16);
  }
  CapturedWork work([&] { seen.copy_from(cast(w, DType::bf16)); });
  w.copy_from(normal({4}, 2));
  work.launch();
  EXPECT_TRUE(is_cast_of(seen, w));
}

struct Regime {
  const char* name;
  Case c;
};

void PrintTo(const Regime& r, std::ostream* out) { *out << r.name; }

using Kind = OptimizerOptions::Kind;

const Regime kRegimes[] = {
    {"SgdBf16", {.network = two_convolutions,
                 .optimizer = {.momentum = 0.9, .nesterov = true, .weight_decay = 0.1},
                 .activations = DType::bf16, .evaluated = true, .batches = {2, 2, 3, 2}}},
    {"SgdWithoutMomentum", {.network = smallest, .optimizer = {.momentum = 0},
                            .activations = DType::bf16, .batches = {2, 2, 2, 2}}},
    {"AdamWF16", {.network = two_convolutions, .plan = "until:trunk.2",
                  .optimizer = {.kind = Kind::adamw, .weight_decay = 0.1, .decay_all = false,
                                .clip_norm = 0.5},
                  .activations = DType::f16, .loss_scale = 1024, .batches = {2, 2, 2, 2}}},
    {"AdamWBf16Averaged", {.network = small_swin, .optimizer = {.kind = Kind::adamw},
                           .activations = DType::bf16, .ema = 0.9, .evaluated = true,
                           .batches = {2, 2, 2, 2}}},
    {"F16PulledAndAveraged", {.network = two_convolutions, .plan = "trunk,!trunk.2",
                              .activations = DType::f16,
                              .loss_scale = 1024, .ema = 0.9, .pull = 0.1, .evaluated = true,
                              .batches = {2, 2, 3, 2}}},
    {"F16WithAStepThatIsSkipped", {.network = smallest, .activations = DType::f16,
                                   .loss_scale = 1024, .batches = {2, 2, 2, 2, 2}, .overflows = 2}},
    {"F16WhoseFirstStepIsSkipped", {.network = smallest, .activations = DType::f16,
                                    .loss_scale = 1024, .batches = {2, 2, 2}, .overflows = 0}},
    {"NormsWithBatchStatistics", {.network = two_convolutions, .plan = "trunk,bn=stats",
                                  .activations = DType::bf16, .batches = {2, 2, 2, 2}}},
    {"WhatStaysAboveWhatLearns", {.network = two_convolutions, .plan = "trunk.2,trunk.3",
                                  .activations = DType::bf16, .batches = {2, 2, 2, 2}}}};

class DeviceCopies : public DeviceTest, public testing::WithParamInterface<Regime> {};

TEST_P(DeviceCopies, GiveTheBitsOfConversions) {
  Case c = GetParam().c;
  c.copies = false;
  const Outcome converted = train(c, false);
  c.copies = true;
  expect_same_bits(converted, train(c, false));
  const Outcome captured = train(c, true);
  EXPECT_TRUE(captured.captured) << captured.refused;
  expect_same_bits(converted, captured);
  if (c.overflows >= 0) {
    EXPECT_EQ(converted.norms[size_t(c.overflows)], -1);
  }
}

INSTANTIATE_TEST_SUITE_P(Regimes, DeviceCopies, testing::ValuesIn(kRegimes),
                         [](const auto& info) { return std::string(info.param.name); });

// Somebody else writes: into what learns, and into what stays.
TEST_F(DeviceCast, AStepFindsWhatOthersHaveWritten) {
  for (const char* path : {"trunk.2.weight", "trunk.0.weight"}) {
    auto losses = [&](bool copies, bool may_capture) {
      const Case c{.network = two_convolutions, .plan = "until:trunk.2",
                   .activations = DType::bf16, .copies = copies};
      Learner run(c);
      TrainingStep step = run.step(may_capture);
      std::vector<double> all;
      for (int i = 0; i < 6; ++i) {
        if (i == 3)
          each_param(*run.model, [&](const std::string& name, Param& p) {
            if (name == path) p.copy_from(normal(p.shape(), 3, 0.1f));
          });
        all.push_back(step.run(batch_of(2, 0), numbers_of(c, i)).loss);
      }
      EXPECT_EQ(step.captured(), may_capture);
      return all;
    };
    const std::vector<double> converted = losses(false, false);
    EXPECT_EQ(converted, losses(true, false)) << path;
    EXPECT_EQ(converted, losses(true, true)) << path;
  }
}

TEST_F(DeviceCast, WhatLearnsMayChange) {
  auto train_in_phases = [](bool copies, bool may_capture) {
    Learner run({.network = two_convolutions, .activations = DType::bf16, .copies = copies});
    std::vector<double> losses;
    for (const char* plan : {"trunk", "none,bn=frozen", "until:trunk.2", "none"}) {
      run.learn(plan);
      TrainingStep step = run.step(may_capture);
      for (int i = 0; i < 3; ++i)
        losses.push_back(step.run(batch_of(2, uint64_t(i)), numbers_of(run.c, i)).loss);
    }
    return losses;
  };
  const std::vector<double> converted = train_in_phases(false, false);
  EXPECT_EQ(converted, train_in_phases(true, false));
  EXPECT_EQ(converted, train_in_phases(true, true));
}

// From the state of the network, of the optimiser and of the averages, as a checkpoint has it.
TEST_F(DeviceCast, GoesOnWithTheSameBits) {
  const Case c{.network = two_convolutions, .optimizer = {.kind = Kind::adamw},
               .activations = DType::bf16, .ema = 0.9};
  auto steps = [&](Learner& run, int begin, int end) {
    TrainingStep step = run.step(true);
    for (int i = begin; i < end; ++i) step.run(batch_of(2, uint64_t(i)), numbers_of(c, i));
    run.evaluate();
  };
  Learner whole(c), first(c), second(c);
  steps(whole, 0, 3), steps(whole, 3, 6);
  steps(first, 0, 3);
  steps(second, 0, 2);  // which is then forgotten
  load_state(*second.model, state(*first.model));
  second.optimizer->load_state(first.optimizer->state(), first.optimizer->steps());
  second.average->load_state(first.average->state(), first.average->updates());
  steps(second, 3, 6);
  EXPECT_TRUE(changed(snapshot(*whole.model), snapshot(*second.model)).empty());
  EXPECT_TRUE(changed(whole.average->state(), second.average->state()).empty());
}

#ifdef GRAFT_CUSIM

int matrices_of(Module& model) {  // and filters
  int count = 0;
  each_param(model, [&](const std::string&, Param& p) { count += p.rank() > 1; });
  return count;
}

// -> launches of a kernel for a third step, call by call, where there are no copies and where there are
std::pair<long, long> launches_of_a_step(Case c) {
  c.copies = false;
  const long converting = train(c, false).launches[2];
  c.copies = true;
  return {converting, train(c, false).launches[2]};
}

TEST_F(DeviceCast, AStepConvertsNoWeight) {
  const auto [converting, copying] = launches_of_a_step({.activations = DType::bf16});
  EXPECT_EQ(converting - copying, matrices_of(*small_resnet()));
}

TEST_F(DeviceCast, WithoutMixedPrecisionNothingIsCopied) {
  const auto [converting, copying] = launches_of_a_step({.network = two_convolutions});
  EXPECT_EQ(converting, copying);
}

// Under norms that do not stay, and above layers that learn: there a gradient goes through the
// filter times the scale of its norm, which is a kernel and a conversion.
TEST_F(DeviceCast, WhatStaysCostsTheFirstStepAlone) {
  const Case c{.network = two_convolutions, .plan = "trunk,bn=stats",
               .activations = DType::bf16, .copies = false};
  const std::vector<long> norms = train(c, false).launches;
  EXPECT_EQ(norms[0] - norms[1], 2);
  EXPECT_EQ(norms[1], norms[2]);
  Case above = c;
  above.plan = "trunk.2,trunk.3";
  const std::vector<long> launches = train(above, false).launches;
  EXPECT_EQ(launches[0] - launches[1], 3);
  EXPECT_EQ(launches[1], launches[2]);
}

TEST_F(DeviceCast, AFrozenAttentionIsConvertedOnce) {
  SelfAttention layer(16, 2);
  initialize(layer, 1);
  move_to(layer, Device::cuda);
  layer.requires_grad(false);
  const Tensor x = normal({1, 4, 16}, 1).to(Device::cuda).to(DType::bf16);
  auto launches_of = [&] {
    const long before = launches();
    layer(x);
    return launches() - before;
  };
  const long first = launches_of(), second = launches_of();
  EXPECT_EQ(first - second, 2);  // of queries, keys and values, and of the result
}

// An evaluation between steps reads the copies that the last of them wrote.
TEST_F(DeviceCast, AnEvaluationConvertsNothingThatTheOptimiserCopied) {
  auto launches_of_evaluation = [](bool copies) {
    Learner run({.network = two_convolutions, .activations = DType::bf16, .copies = copies});
    TrainingStep step = run.step(false);
    for (int i = 0; i < 2; ++i) step.run(batch_of(2, 0), numbers_of(run.c, i));
    const long before = launches();
    run.evaluate();
    return launches() - before;
  };
  EXPECT_EQ(launches_of_evaluation(false) - launches_of_evaluation(true),
            matrices_of(*two_convolutions()));
}

TEST_F(DeviceCast, CopiesTakeTwoBytesForEachParameter) {
  auto live = [] {
    cuda::synchronize_device();
    return cuda::device_memory().live;
  };
  auto bytes_of_optimizer = [&](DType activations) {
    auto model = small_resnet();
    model->place(Device::cuda, activations);
    const size_t before = live();
    const Optimizer optimizer(*model, {.read_as = activations});
    const int64_t padded = optimizer.parameters() + 16 * matrices_of(*model) * 3;
    return std::pair(live() - before, padded);
  };
  const auto [without, padded] = bytes_of_optimizer(DType::f32);
  const auto [with, padded_too] = bytes_of_optimizer(DType::bf16);
  EXPECT_GT(with, without);
  EXPECT_LE(with - without, 2 * size_t(padded));
}
#endif

}  // namespace
}  // namespace graft::tests
