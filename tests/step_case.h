// For tests of steps of training on a CUDA device: small networks, what differs between runs of one,
// and what came of a run.
#pragma once
#include "layers/layer_norm.h"
#include "layers/stochastic_depth.h"
#include "layers/window_attention.h"
#include "models/chain.h"
#include "models/training_step.h"
#include "models/zoo.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

#ifdef GRAFT_CUSIM
#include "tests/cusim/runtime_sim.h"
#endif

namespace graft::tests {

constexpr int64_t kSide = 8, kClasses = 4;

inline std::unique_ptr<Classifier> small_resnet() { return make_model("resnet10_small", kClasses, 1); }

// What Swin V2 is made of, and all that draws.
inline std::unique_ptr<Classifier> small_swin() {
  constexpr int64_t width = 16;
  constexpr int heads = 2, side = 2;
  Sequential trunk, head;
  trunk.add(Conv2d(3, width, {.kernel = 2, .stride = 2})).add(LayerNorm(width));
  for (bool shifted : {false, true})
    trunk.add(WindowAttentionV2(width, heads, side, shifted)).add(StochasticDepth(0.3f));
  head.add(Dropout(0.2f)).add(Linear(width, kClasses));
  auto model = std::make_unique<Chain>(Chain::Part{"trunk", std::move(trunk)},
                                       Chain::Part{"head", std::move(head)});
  initialize(*model, 1);
  return model;
}

inline std::unique_ptr<Classifier> smallest() {
  Sequential trunk, head;
  trunk.add(Conv2d(3, 4, {.kernel = 4, .stride = 4})).add(BatchNorm2d(4));
  head.add(Linear(4, kClasses));
  auto model = std::make_unique<Chain>(Chain::Part{"trunk", std::move(trunk)},
                                       Chain::Part{"head", std::move(head)});
  initialize(*model, 1);
  return model;
}

struct Case {
  std::function<std::unique_ptr<Classifier>()> network = small_resnet;
  std::string plan = "none", head = "linear";
  OptimizerOptions optimizer{.momentum = 0.9};
  DType activations = DType::f32;
  double loss_scale = 1, ema = 0, pull = 0;
  MixOptions mix;
  bool weighted = false, evaluated = false;
  std::vector<int64_t> batches{2, 2, 2};
  Device device = Device::cuda;
  bool copies = true;  // in 16 bits, written by the optimiser
  int overflows = -1;  // the step whose loss scale is too large for f16
};

struct Outcome {
  std::vector<double> losses, norms;
  TensorMap values, moments, means;  // on the processor
  std::vector<Tensor> answers;       // of each evaluation, there
  std::vector<long> launches;        // of each step
  std::vector<long> calls;           // of the runtime, by the end of each
  std::string refused;
  bool captured = false;
};

inline Batch batch_of(int64_t images, uint64_t seed) {
  Batch batch;
  batch.images = Tensor({images, kSide, kSide, 3}, DType::u8);
  Random random(seed, "pixels");
  auto* pixels = batch.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < batch.images.size(); ++i) pixels[i] = uint8_t(random.next());
  batch.labels = labels_of(images, kClasses);
  return batch;
}

// Rates fall, and the loss scale doubles: what differs from step to step.
inline StepNumbers numbers_of(const Case& c, int step) {
  const double scale = c.loss_scale == 1 ? 1 : c.loss_scale * (step < 2 ? 1 : 2);
  StepNumbers numbers{.seed = 7,
                      .step = uint64_t(step),
                      .rate = 0.05 / (1 + step),
                      .loss_scale = step == c.overflows ? 0x1p100 : scale};
  if (c.mix.any())
    numbers.mix = draw_mix(c.mix, c.batches[size_t(step)], kSide, Random(7, "mix", numbers.step));
  return numbers;
}

struct Learner {
  explicit Learner(const Case& c) : c(c), model(c.network()) {
    if (c.head != "linear") model->replace_head(kClasses, 1, HeadForm::parse(c.head));
    model->place(c.device, c.activations);
    if (c.weighted) weights = uniform({kClasses}, 5, 0.5f, 2).to(c.device);
    learn(c.plan);
    if (c.pull > 0) pull = std::make_unique<L2Sp>(*model, model->head_path(), c.pull);
    if (c.ema > 0) average = std::make_unique<Ema>(*model, c.ema);
  }

  void learn(const std::string& plan) {
    freeze(*model, plan);
    model->train();
    OptimizerOptions options = c.optimizer;
    if (c.copies) options.read_as = c.activations;
    optimizer = std::make_unique<Optimizer>(*model, options);
  }

  TrainingStep step(bool may_capture) {
    return TrainingStep({.model = *model,
                         .optimizer = *optimizer,
                         .loss = {.label_smoothing = 0.1f, .class_weights = weights},
                         .pull = pull.get(),
                         .average = average.get()},
                        may_capture);
  }

  // With the averages, on images of another size: nothing that a launch needs may go.
  Tensor evaluate() {
    const Averaged values(average.get());
    NoGrad no_grad;
    model->eval();
    Batch batch;
    batch.images = Tensor({1, kSide + 4, kSide + 4, 3}, DType::u8);
    std::fill_n(batch.images.mutable_data<uint8_t>(), batch.images.size(), uint8_t(200));
    const Tensor logits = logits_of(*model, batch).to(Device::cpu);
    model->train();
    return logits;
  }

  Case c;
  Tensor weights;
  std::unique_ptr<Classifier> model;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<L2Sp> pull;
  std::unique_ptr<Ema> average;
};

#ifdef GRAFT_CUSIM
inline long launches() { return cuda::sim::launches(); }
inline long calls() { return cuda::sim::calls(); }
#else
inline long launches() { return 0; }
inline long calls() { return 0; }
#endif

inline Outcome train(const Case& c, bool may_capture) {
  Learner run(c);
  Outcome outcome;
  TrainingStep step = run.step(may_capture);
  step.refused = [&](const std::string& why) { outcome.refused = why; };
  for (size_t i = 0; i < c.batches.size(); ++i) {
    const long before = launches();
    const StepResult result = step.run(batch_of(c.batches[i], i), numbers_of(c, int(i)));
    outcome.launches.push_back(launches() - before);
    outcome.calls.push_back(calls());
    outcome.losses.push_back(result.loss);
    outcome.norms.push_back(result.norm.value_or(-1));
    if (c.evaluated) outcome.answers.push_back(run.evaluate());
  }
  outcome.captured = step.captured();
  outcome.values = snapshot(*run.model);
  outcome.moments = run.optimizer->state();
  if (run.average) outcome.means = run.average->state();
  return outcome;
}

// To the bit, but for what a capture changes.
inline void expect_same_bits(const Outcome& a, const Outcome& b) {
  EXPECT_EQ(a.losses, b.losses);
  EXPECT_EQ(a.norms, b.norms);
  EXPECT_TRUE(changed(a.values, b.values).empty());
  EXPECT_TRUE(changed(a.moments, b.moments).empty());
  EXPECT_TRUE(changed(a.means, b.means).empty());
  ASSERT_EQ(a.answers.size(), b.answers.size());
  for (size_t i = 0; i < a.answers.size(); ++i)
    EXPECT_TRUE(same_bits(a.answers[i], b.answers[i])) << "evaluation " << i;
}

}  // namespace graft::tests
