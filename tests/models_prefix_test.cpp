// Networks cut where learning begins: the two pieces make, bit for bit, what the whole makes.
#include "models/prefix.h"

#include <gtest/gtest.h>

#include "core/autograd.h"
#include "kernels/parallel.h"
#include "layers/optimizer.h"
#include "models/feature_cache.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

constexpr int64_t kBatch = 10;  // in parts of 4, the last one filled up

std::unique_ptr<Classifier> model_of(const std::string& name, const std::string& plan = "trunk") {
  auto model = make_model(name, 3, 7);
  int& side = model->preprocess.crop;  // smaller images, where the network takes them
  if (side > 64) side = name.starts_with("inception") ? 96 : 64;
  freeze(*model, plan);
  model->images_at_a_time(model->part_for(kBatch));
  return model;
}

Batch batch_of(const Classifier& model, std::vector<int64_t> indices) {
  Batch batch;
  const int64_t side = model.preprocess.crop, n = int64_t(indices.size());
  batch.images = Tensor({n, side, side, 3}, DType::u8);
  uint8_t* to = batch.images.mutable_data<uint8_t>();
  for (int64_t i : indices)
    for (int64_t j = 0; j < side * side * 3; ++j) *to++ = uint8_t((j * (i + 3) * 37 + j / 7) >> 3);
  batch.labels = labels_of(n, 3);
  batch.indices = std::move(indices);
  return batch;
}

SampleKey key_of(int64_t i) {
  SampleKey key{};
  key[3] = uint8_t(i + 1);
  return key;
}

// The batch as a loader gives it to a cache: without the pixels of what is kept.
Batch known_batch(const Classifier& model, const std::vector<int64_t>& indices,
                  FeatureStore& store) {
  std::vector<int64_t> unknown;
  Batch batch;
  for (int64_t i : indices) {
    batch.keys.push_back(key_of(i));
    batch.kept.push_back(store.find(batch.keys.back()));
    if (!batch.kept.back().defined()) unknown.push_back(i);
  }
  if (!unknown.empty()) batch.images = batch_of(model, unknown).images;
  batch.labels = labels_of(int64_t(indices.size()), 3);
  batch.indices = indices;
  return batch;
}

std::string prefix_of(const char* name, const char* plan) {
  auto model = model_of(name, plan);
  return Prefix(*model).name();
}

TEST(Prefix, EndsWhereLearningBegins) {
  EXPECT_EQ(prefix_of("resnet18", "trunk"), "trunk");
  EXPECT_EQ(prefix_of("resnet18", "until:layer4"), "layer3.1");
  EXPECT_EQ(prefix_of("resnet18", "until:layer2.1"), "layer2.0");
  EXPECT_EQ(prefix_of("resnet18", "until:layer4,layer4.0"), "layer4.0");
  EXPECT_EQ(prefix_of("resnet18", "trunk,bn=stats"), "the input");  // statistics of the batch
  EXPECT_EQ(prefix_of("resnet18", "until:layer4,bn=affine"), "the input");  // every norm learns
  EXPECT_EQ(prefix_of("resnet18", "until:layer4,bn=affine@layer4"), "layer3.1");
  EXPECT_EQ(prefix_of("resnet18", "trunk,!layer3.0.bn2.*"), "layer2.1");
  EXPECT_EQ(prefix_of("squeezenet1_1", "until:features.9"), "features.8");
  EXPECT_EQ(prefix_of("densenet121", "until:features.transition2"),
            "features.denseblock2.denselayer12");
  EXPECT_EQ(prefix_of("mobilenet_v2", "until:features.10"), "features.9");
  EXPECT_EQ(prefix_of("alexnet", "trunk"), "features.12");  // then dropout
  EXPECT_EQ(prefix_of("vgg11", "trunk"), "trunk");
  EXPECT_EQ(prefix_of("googlenet", "until:inception4a"), "maxpool3");
  EXPECT_EQ(prefix_of("resnet18", "none"), "the input");
}

// Where learning begins in the middle of a convolution with its norm, the cut lies before both.
TEST(Prefix, NeverCutsAKernelInTwo) {
  auto model = model_of("mobilenet_v2", "trunk,!features.18.1.*");
  EXPECT_EQ(Prefix(*model).name(), "features.17");
}

// In every family: steps are the trunk, and a cut anywhere gives the same bits.
TEST(Prefix, ACutAnywhereChangesNothing) {
  for (const char* name :
       {"resnet10_small", "resnet20", "squeezenet1_1", "densenet121", "googlenet", "inception_v3",
        "mobilenet_v2", "mobilenet_v3_small", "mnasnet0_5", "shufflenet_v2_x0_5", "regnet_y_400mf",
        "efficientnet_b0", "convnext_tiny", "swin_t"}) {
    auto model = model_of(name);
    model->eval();
    NoGrad off;
    Tensor x = input_of(*model, batch_of(*model, {0, 1, 2, 3}));
    Tensor whole = model->trunk(x);
    size_t steps = model->steps().size();
    EXPECT_GT(steps, 3u) << name;
    for (size_t cut = 1; cut < steps; cut += std::max<size_t>(1, steps / 4))
      EXPECT_TRUE(same_bits(whole, model->trunk_in_parts(model->begin(x, cut), cut)))
          << name << " at step " << cut;
  }
}

// Some samples known, some not, in any company: the trunk's bits are those of the plain run.
TEST(FeatureCache, SomeKnownSomeNot) {
  for (const char* name : {"resnet18", "squeezenet1_1", "mobilenet_v3_small", "resnet10_small"})
    for (int threads : {1, 2}) {
      cpu::set_thread_count(threads);
      auto model = model_of(name);
      const Prefix prefix(*model);
      FeatureStore store(1 << 30);
      FeatureCache cache(*model, prefix.end(), store);
      model->train();
      int64_t samples = 0;
      for (std::vector<int64_t> indices : {std::vector<int64_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9},
                                           {12, 3, 11, 9, 0}, {13}, {5, 13, 12, 1, 14, 15}}) {
        Tensor plain = model->trunk_in_parts(input_of(*model, batch_of(*model, indices)));
        Tensor cached = trunk_of(*model, cache.input(known_batch(*model, indices, store)));
        EXPECT_TRUE(same_bits(plain, cached)) << name << " " << indices.size();
        samples += int64_t(indices.size());
      }
      EXPECT_EQ(cache.misses(), 15);
      EXPECT_EQ(cache.hits(), samples - 15);
      EXPECT_EQ(store.bytes(), 15 * prefix.bytes());
    }
}

// Steps of training behind a cut in the middle: same losses, same weights.
TEST(FeatureCache, TrainsToTheSameBits) {
  for (const char* plan : {"trunk", "until:layer4", "trunk,!layer3.1"}) {
    std::vector<TensorMap> weights;
    std::vector<float> losses;
    for (bool cached : {false, true}) {
      auto model = model_of("resnet18", plan);
      FeatureStore store(1 << 30);
      const Prefix prefix(*model);
      FeatureCache cache(*model, prefix.end(), store);
      Optimizer optimizer(*model, {.momentum = 0.9});
      model->train();
      for (int step = 0; step < 4; ++step) {
        std::vector<int64_t> indices{0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
        if (step % 2) indices = {4, 9, 2, 8, 1, 0};
        optimizer.zero_grad();
        Batch batch = cached ? known_batch(*model, indices, store) : batch_of(*model, indices);
        TrunkInputOf input;
        if (cached) input = [&](const Batch& b) { return cache.input(b); };
        Tensor loss = cross_entropy(logits_of(*model, batch, input), batch.labels);
        loss.backward();
        optimizer.step(0.01);
        losses.push_back(loss.item());
      }
      weights.push_back(snapshot(*model));
      EXPECT_EQ(cache.misses(), cached ? 10 : 0);
    }
    EXPECT_TRUE(changed(weights[0], weights[1]).empty()) << plan;
    for (int i = 0; i < 4; ++i) EXPECT_EQ(losses[size_t(i)], losses[size_t(i) + 4]) << plan;
  }
}

TEST(FeatureCache, ABatchWithoutKeysPassesThrough) {
  auto model = model_of("resnet10_small");
  FeatureStore store(1 << 20);
  FeatureCache cache(*model, Prefix(*model).end(), store);
  model->eval();
  Batch batch = batch_of(*model, {0, 1, 2});
  const Tensor want = model->trunk_in_parts(input_of(*model, batch));
  EXPECT_TRUE(same_bits(trunk_of(*model, cache.input(batch)), want));
  EXPECT_EQ(cache.hits() + cache.misses(), 0);
}

TEST(Prefix, AnotherIdForWhateverDecidesItsResult) {
  auto id_of = [](const char* plan, const std::function<void(Classifier&)>& change = {}) {
    auto model = model_of("resnet18", plan);
    if (change) change(*model);
    return Prefix(*model).id();
  };
  cpu::set_thread_count(1);
  const std::string id = id_of("until:layer4");
  EXPECT_EQ(id.size(), 64u);
  EXPECT_EQ(id, id_of("until:layer4"));
  auto twist = [](const std::string& wanted) {
    return [wanted](Classifier& m) {
      each_param(m, [&](const std::string& path, Param& p) {
        if (path == wanted) p.mutable_data()[p.size() - 1] += 1e-7f;
      });
      each_buffer(m, [&](const std::string& path, Tensor& t) {
        if (path == wanted) t.mutable_data()[0] += 1e-6f;
      });
    };
  };
  EXPECT_NE(id, id_of("until:layer4", twist("layer3.1.conv2.weight")));
  EXPECT_NE(id, id_of("until:layer4", twist("bn1.running_mean")));
  EXPECT_EQ(id, id_of("until:layer4", twist("layer4.0.conv1.weight")));  // what comes behind
  EXPECT_EQ(id, id_of("until:layer4", twist("fc.weight")));
  EXPECT_EQ(id, id_of("until:layer4", [](Classifier& m) { m.replace_head(5, 1); }));
  EXPECT_NE(id, id_of("until:layer3"));
  EXPECT_NE(id, id_of("until:layer4", [](Classifier& m) { m.preprocess.crop = 96; }));
  EXPECT_NE(id, id_of("until:layer4", [](Classifier& m) { m.preprocess.mean[1] += 0.01f; }));
  EXPECT_NE(id, id_of("until:layer4", [](Classifier& m) { m.preprocess.bgr = true; }));
  EXPECT_NE(id, id_of("until:layer4", [](Classifier& m) { m.images_at_a_time(8); }));
  cpu::set_thread_count(3);
  EXPECT_NE(id, id_of("until:layer4"));
  cpu::set_thread_count(1);
}

TEST(Prefix, LeavesTheModelAsItWas) {
  auto model = model_of("resnet10_small");
  TensorMap before = snapshot(*model);
  for (bool training : {true, false}) {
    model->train(training);
    Prefix prefix(*model);
    EXPECT_EQ(model->training(), training);
    EXPECT_EQ(prefix.shape(), (Shape{128}));
    EXPECT_EQ(prefix.bytes(), 512);
  }
  EXPECT_TRUE(changed(before, snapshot(*model)).empty());
  EXPECT_EQ(model->images_at_a_time(), 4);
}

}  // namespace
}  // namespace graft
