#include "models/keras_import.h"

#include "core/autograd.h"
#include "layers/state.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

const KerasNetwork& network(const std::string& architecture) {
  for (const KerasNetwork& n : keras_networks())
    if (n.architecture == architecture) return n;
  throw std::runtime_error(architecture);
}

KerasLayer conv(const std::string& name, Shape kernel = {1, 1, 2, 3}) {
  int64_t outputs = kernel.back();
  return {name, {{name + "/kernel:0", normal(kernel, 1)}, {name + "/bias:0", normal({outputs}, 2)}}};
}

KerasLayer norm(const std::string& name, const std::vector<std::string>& weights) {
  KerasLayer layer{name, {}};
  for (auto& weight : weights)
    layer.weights.push_back({weight, normal({2}, uint64_t(layer.weights.size()))});
  return layer;
}

TEST(KerasNames, EveryTargetIsInTheZoo) {
  for (const KerasNetwork& n : keras_networks()) {
    TensorMap tensors = state_view(*build_model(n.architecture, 1000));
    size_t count = 0;
    for (const KerasTarget& layer : n.layers) {
      for (const char* part : {"weight", "bias"})
        EXPECT_TRUE(tensors.contains(layer.published + "." + part)) << layer.keras;
      count += layer.kind == KerasKind::norm ? 5 : 2;
    }
    EXPECT_EQ(count, tensors.size()) << n.architecture;
  }
}

// What Keras prints as "Total params", which counts running statistics.
TEST(KerasNames, TotalsAreTheOnesOfKeras) {
  for (auto [name, total] : {std::pair("resnet50_v1", 25636712), {"resnet101_v1", 44707176},
                             {"resnet152_v1", 60419944}}) {
    int64_t count = 0;
    for (auto& [path, tensor] : state_view(*build_model(name, 1000)))
      if (tensor.rank() > 0) count += tensor.size();
    EXPECT_EQ(count, total) << name;
  }
}

TEST(KerasNames, OldAndNestedOnes) {
  const KerasNetwork& n = network("resnet50_v1");
  for (auto [keras, published] : {std::pair("res2a_branch1", "layer1.0.downsample.0"),
                                  {"bn2a_branch2b", "layer1.0.bn2"},
                                  {"bn_conv1", "bn1"}, {"fc1000", "fc"},
                                  {"resnet50/conv5_block3_2_conv", "layer4.2.conv2"}}) {
    ASSERT_TRUE(n.find(keras)) << keras;
    EXPECT_EQ(n.find(keras)->published, published);
  }
  EXPECT_EQ(n.find("conv6_block1_1_conv"), nullptr);
}

TEST(KerasNames, TheNetworkIsTold) {
  KerasFile file{{conv("conv1_conv"), conv("conv3_block4_1_conv")}};
  EXPECT_STREQ(recognise_keras(file)->architecture, "resnet50_v1");
  file.layers.push_back(conv("conv4_block20_1_conv"));
  EXPECT_STREQ(recognise_keras(file)->architecture, "resnet101_v1");
  KerasFile numbers;
  for (int i = 0; i < 16; ++i) numbers.layers.push_back(conv(fmt::format("conv2d_{}", i)));
  EXPECT_STREQ(recognise_keras(numbers)->architecture, "vgg19");
  EXPECT_EQ(match_layers(numbers, network("vgg19"))[2]->published, "features.5");
  EXPECT_EQ(recognise_keras({{conv("mine")}}), nullptr);
}

TEST(KerasImport, LayoutsOfKernelsAndMatrices) {
  KerasLayer kernel = conv("block1_conv1", {3, 2, 4, 5}), fc1 = conv("fc1", {49 * 2, 3});
  Tensor k = kernel.weights[0].values, m = fc1.weights[0].values;
  KerasTensors result = published({{kernel, fc1}}, network("vgg16"), "a file");
  const Tensor& w = result.tensors.at("features.0.weight");
  ASSERT_EQ(w.shape(), (Shape{5, 4, 3, 2}));
  auto hwio = [&](int h, int x, int i, int o) { return k.data()[((h * 2 + x) * 4 + i) * 5 + o]; };
  for (int at = 0; at < 120; ++at)
    EXPECT_EQ(w.data()[at], hwio(at / 2 % 3, at % 2, at / 6 % 4, at / 24));
  const Tensor& f = result.tensors.at("classifier.0.weight");
  for (int o = 0; o < 3; ++o)
    for (int c = 0; c < 2; ++c)
      for (int p = 0; p < 49; ++p)
        EXPECT_EQ(f.data()[o * 98 + c * 49 + p], m.data()[(p * 2 + c) * 3 + o]);
  EXPECT_EQ(result.sources.at("features.0.weight").transform, "HWIO -> OIHW");
  EXPECT_EQ(result.sources.at("features.0.weight").name, "block1_conv1/kernel:0");
}

TEST(KerasImport, NormsByNameElseByPlace) {
  KerasLayer named = norm("conv1_bn", {"conv1_bn/beta:0", "conv1_bn/gamma:0",
                                       "conv1_bn/moving_variance:0", "conv1_bn/moving_mean:0"});
  KerasLayer placed = norm("conv2_block1_1_bn", {"v0", "v1", "v2", "v3"});
  KerasTensors result = published({{named, placed}}, network("resnet50_v1"), "a file");
  auto first = [&](const char* name) { return result.tensors.at(name).data()[0]; };
  EXPECT_EQ(first("bn1.weight"), named.weights[1].values.data()[0]);
  EXPECT_EQ(first("bn1.running_mean"), named.weights[3].values.data()[0]);
  EXPECT_EQ(first("layer1.0.bn1.weight"), placed.weights[0].values.data()[0]);
  EXPECT_EQ(first("layer1.0.bn1.running_var"), placed.weights[3].values.data()[0]);
}

TEST(KerasImport, TheanosKernelsAreTurnedWhereTheFileSaysSo) {
  KerasLayer oihw = conv("conv1", {3, 3, 2, 5});
  oihw.weights[0].values = normal({5, 2, 3, 3}, 7);
  const float* k = oihw.weights[0].values.data();
  const KerasNetwork& n = network("squeezenet1_1");
  KerasTensors turned = published({{oihw}, "theano"}, n, "a file");
  EXPECT_EQ(turned.tensors.at("features.0.weight").data()[0], k[8]);
  KerasTensors kept = published({{oihw}, "tensorflow"}, n, "a file");
  EXPECT_EQ(kept.tensors.at("features.0.weight").data()[0], k[0]);
  std::string message = error_of([&] { published({{oihw}}, n, "a file"); }, Fault::data);
  EXPECT_NE(message.find("backend"), message.npos) << message;
}

TEST(KerasImport, WhatIsNotKnownKeepsItsName) {
  KerasTensors result = published({{conv("conv1_conv"), conv("extra")}}, network("resnet50_v1"), "a");
  EXPECT_TRUE(result.tensors.contains("extra/kernel:0") && result.tensors.contains("conv1.weight"));
  error_of([&] { published({{conv("conv1_conv"), conv("conv1_conv")}}, network("resnet50_v1"), "a"); },
           Fault::data);
}

// timm's VGG: the matrices are convolutions there.
TEST(TimmNames, VggMatricesComeOutOfConvolutions) {
  TensorMap tensors{{"pre_logits.fc1.weight", normal({4, 2, 7, 7}, 1)},
                    {"pre_logits.fc2.bias", normal({4}, 2)}, {"head.fc.weight", normal({3, 4}, 3)}};
  zoo_row("vgg16").tidy(tensors);
  EXPECT_EQ(tensors.at("classifier.0.weight").shape(), (Shape{4, 98}));
  EXPECT_EQ(tensors.at("classifier.6.weight").shape(), (Shape{3, 4}));
  EXPECT_TRUE(tensors.contains("classifier.3.bias") && tensors.size() == 3);
}

TEST(Truncated, EndsAfterAStage) {
  auto model = make_model("resnet50_v1:layer3", 5, 1);
  EXPECT_EQ(model->architecture, "resnet50_v1:layer3");
  TensorMap tensors = state_view(*model);
  EXPECT_EQ(tensors.at("fc.weight").shape(), (Shape{5, 1024}));
  EXPECT_FALSE(tensors.contains("layer4.0.conv1.weight"));
  NoGrad off;
  EXPECT_EQ((*model)(normal({2, 64, 64, 3}, 1)).shape(), (Shape{2, 5}));
  std::string message = error_of([] { build_model("resnet18:layer9", 2); }, Fault::usage);
  EXPECT_NE(message.find("layer1, layer2 and layer3"), message.npos) << message;
  error_of([] { build_model("vgg11:layer3", 2); }, Fault::usage);
}

}  // namespace
}  // namespace graft
