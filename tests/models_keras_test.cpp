#include <set>

#include "core/autograd.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "layers/state.h"
#include "models/foreign/import.h"
#include "models/foreign/keras_import.h"
#include "models/foreign/keras_settings.h"
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

TEST(KerasNames, TargetsAreAllTensorsOfTheRow) {
  for (const KerasNetwork& n : keras_networks()) {
    std::set<std::string> targets, tensors;
    TensorMap row = state_view(*build_model(n.architecture, 1000));
    for (auto& [name, tensor] : row) tensors.insert(name);
    auto add = [&](const KerasTarget& layer, std::initializer_list<const char*> parts) {
      for (const char* part : parts)
        EXPECT_TRUE(targets.insert(layer.published + part).second) << layer.keras;
    };
    for (const KerasTarget& layer : n.layers) switch (layer.kind) {
        case KerasKind::input:
          break;
        case KerasKind::scale:
          add(layer, {""});
          break;
        case KerasKind::norm:
          add(layer, {".weight", ".bias", ".running_mean", ".running_var", ".num_batches_tracked"});
          break;
        default:
          add(layer, {".weight"});
          if (tensors.contains(layer.published + ".bias")) add(layer, {".bias"});
      }
    EXPECT_EQ(targets, tensors) << n.architecture;
  }
}

// First digits of the SHA-256 of the lines "block1_conv1 3 3 3 64", each layer's first weight,
// sorted, as keras.applications of Keras 3.15 has them: keras_check.py --names.
const std::pair<const char*, const char*> kKerasDigests[] = {
    {"vgg16", "2d1169113c218564"},
    {"vgg19", "d10f023331e426ca"},
    {"resnet50_v1", "36f91cd71e6ae073"},
    {"resnet101_v1", "80b3a8249b905cb5"},
    {"resnet152_v1", "39267b13c2aae328"},
    {"densenet121_keras", "9f382968bc80601c"},
    {"densenet169_keras", "713fe175890d7fff"},
    {"densenet201_keras", "365639e89ee2187f"},
    {"inception_v3_keras", "e7591fa01fc826d3"},
    {"mobilenet_v2_keras", "52fa65cd910f607e"},
    {"efficientnet_b0_keras", "ec68d062c32610b2"},
    {"efficientnet_b1_keras", "27fc3c9210a891e7"},
    {"efficientnet_b2_keras", "b94d287fa526fd0e"},
    {"efficientnet_b3_keras", "9e1640c10d1135f5"},
    {"efficientnet_b4_keras", "e8a05a535a78f3e0"},
    {"efficientnet_b5_keras", "f9bed2bc0164b069"},
    {"efficientnet_b6_keras", "e731438de569570d"},
    {"efficientnet_b7_keras", "7ab840a555796358"},
    {"convnext_tiny", "47990c336d31d9e9"},
    {"convnext_small", "2bda4f96392b61a7"},
    {"convnext_base", "82bbeb94949ba09b"},
    {"convnext_large", "6c6eeb47468b4739"},
};

// The shape that Keras gives to a weight that is published as `s`.
Shape keras_shape(KerasKind kind, const Shape& s) {
  switch (kind) {
    case KerasKind::conv:
      return {s[2], s[3], s[1], s[0]};
    case KerasKind::depthwise:
      return {s[2], s[3], s[0], s[1]};
    case KerasKind::dense:
      return {s[1], s[0]};
    default:
      return {s[0]};
  }
}

std::string keras_name(std::string name) {  // "conv2d" of conv2d#0, "conv2d_7" of conv2d#7
  if (size_t number = name.find('#'); number != name.npos)
    name.replace(number, name.ends_with("#0") ? 2 : 1, name.ends_with("#0") ? "" : "_");
  return name;
}

TEST(KerasNames, NamesAndShapesAreThoseOfKeras) {
  for (auto [architecture, digest] : kKerasDigests) {
    TensorMap tensors = state_view(*build_model(architecture, 1000));
    std::set<std::string> lines;
    for (const KerasTarget& layer : network(architecture).layers) {
      if (layer.kind == KerasKind::input) continue;
      const Tensor& first =
          tensors.at(layer.published + (layer.kind == KerasKind::scale ? "" : ".weight"));
      std::string line = keras_name(layer.keras);
      for (int64_t d : keras_shape(layer.kind, first.shape())) line += fmt::format(" {}", d);
      lines.insert(line + "\n");
    }
    std::string text;
    for (const std::string& line : lines) text += line;
    EXPECT_EQ(sha256(text.data(), text.size()).substr(0, 16), digest) << architecture;
  }
}

// The rows of Keras' constants are told from the others by nothing else.
TEST(KerasNames, RowsHaveTheTensorsOfTheirNamesakes) {
  for (const ZooRow& row : zoo()) {
    std::string name = row.name;
    if (!name.ends_with("_keras")) continue;
    auto plain = build_model(name.substr(0, name.size() - 6), 3), keras = build_model(name, 3);
    EXPECT_TRUE(compare_state(*keras, state_view(*plain)).complete()) << name;
    EXPECT_EQ(recognise(state_view(*keras)) + "_keras", name);
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
  const KerasNetwork& b0 = network("efficientnet_b0_keras");
  for (const char* name : {"normalization", "normalization_3", "outer/normalization_12"}) {
    ASSERT_TRUE(b0.find(name)) << name;
    EXPECT_EQ(b0.find(name)->kind, KerasKind::input);
  }
  EXPECT_EQ(b0.find("normalization_x"), nullptr);
  EXPECT_EQ(b0.find("batch_normalization_3"), nullptr);
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

TEST(KerasNames, SameNamesAreToldByShapes) {  // B1 and B2 have the same layers
  for (auto [channels, name] :
       {std::pair(1280, "efficientnet_b1_keras"), {1408, "efficientnet_b2_keras"}}) {
    KerasFile file{
        {conv("block1b_project_conv", {1, 1, 16, 16}), conv("top_conv", {1, 1, 320, channels}),
         conv("block2c_se_reduce", {1, 1, 144, 6}), conv("block6e_project_conv", {1, 1, 2, 2})}};
    if (channels == 1408) file.layers[1].weights[0].values = normal({1, 1, 352, 1408}, 1);
    EXPECT_STREQ(recognise_keras(file)->architecture, name);
  }
}

// Inception's layers are called by numbers, which go on where another model stopped.
TEST(KerasNames, NumbersInNames) {
  KerasFile file;
  for (int i = 93; i >= 0; --i) {  // in any order
    file.layers.push_back(conv(fmt::format("inception_v3/conv2d_{}", i + 94)));
    file.layers.push_back(norm(fmt::format("batch_normalization{}", i ? fmt::format("_{}", i) : ""),
                               {"beta", "moving_mean", "moving_variance"}));
  }
  ASSERT_TRUE(recognise_keras(file));
  EXPECT_STREQ(recognise_keras(file)->architecture, "inception_v3_keras");
  const KerasNetwork& n = network("inception_v3_keras");
  auto targets = match_layers(file, n);
  EXPECT_EQ(targets[0]->published, "Mixed_7c.branch_pool.conv");
  EXPECT_EQ(targets[187]->published, "Conv2d_1a_3x3.bn");
  EXPECT_EQ(targets[2 * (93 - 47)]->published, "Mixed_6c.branch7x7dbl_4.conv");
  file.named = false;  // then numbers are those of the model's order, which differs
  EXPECT_FALSE(tells_layers(file, n));
  file.named = true;
  file.layers.pop_back();
  EXPECT_FALSE(tells_layers(file, n));
  EXPECT_EQ(recognise_keras(file), nullptr);
}

// Tensors alone look like torchvision's; the name that convert writes beside them tells.
TEST(KerasNames, SafetensorsSayWhichConstants) {
  const std::string path = testing::TempDir() + "keras_row.safetensors";
  TensorMap tensors = state(*make_model("mobilenet_v2_keras", 3, 1));
  for (auto [said, taken] : {std::pair("mobilenet_v2_keras", "mobilenet_v2_keras"),
                             {"mobilenet_v2", "mobilenet_v2"},
                             {"resnet50", "mobilenet_v2"},
                             {"mine", "mobilenet_v2"}}) {
    write_safetensors(path, tensors, {{"architecture", said}});
    EXPECT_EQ(import_weights(path).file.architecture, taken) << said;
  }
  write_safetensors(path, tensors);
  EXPECT_EQ(import_weights(path).file.architecture, "mobilenet_v2");
  EXPECT_EQ(import_weights(path, "mobilenet_v2_keras").file.architecture, "mobilenet_v2_keras");
  std::filesystem::remove(path);
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

// What a norm with scale=False or center=False does not have is one or zero; where names do not
// tell which of both it is, the configuration does, or the network.
TEST(KerasImport, NormsWithoutGammaOrBeta) {
  const KerasNetwork& resnet = network("resnet50_v1");
  auto import = [&](const KerasLayer& layer, const KerasNetwork& n,
                    const KerasSettings* settings = nullptr) {
    KerasFile file{{layer}};
    if (settings) file.settings.emplace(layer.name, *settings);
    return published(file, n, "a file").tensors;
  };
  auto expect = [&](const TensorMap& t, const std::string& at, float gamma, float beta,
                    float mean) {
    EXPECT_EQ(t.at(at + ".weight").data()[1], gamma);
    EXPECT_EQ(t.at(at + ".bias").data()[1], beta);
    EXPECT_EQ(t.at(at + ".running_mean").data()[1], mean);
  };
  auto value = [](const KerasLayer& layer, int i) { return layer.weights[i].values.data()[1]; };
  KerasLayer no_gamma = norm("conv1_bn", {"beta:0", "moving_mean:0", "moving_variance:0"});
  expect(import(no_gamma, resnet), "bn1", 1, value(no_gamma, 0), value(no_gamma, 1));
  KerasLayer no_beta = norm("conv1_bn", {"gamma", "moving_mean", "moving_variance"});
  expect(import(no_beta, resnet), "bn1", value(no_beta, 0), 0, value(no_beta, 1));
  KerasLayer neither = norm("conv1_bn", {"vars/0", "vars/1"});
  expect(import(neither, resnet), "bn1", 1, 0, value(neither, 0));
  KerasLayer three = norm("conv1_bn", {"vars/0", "vars/1", "vars/2"});
  std::string message = error_of([&] { import(three, resnet); }, Fault::data);
  EXPECT_NE(message.find("conv1_bn"), message.npos) << message;
  KerasSettings settings{.epsilon = 1.001e-5, .scale = false};
  expect(import(three, resnet, &settings), "bn1", 1, value(three, 0), value(three, 1));
  settings.scale = true, settings.center = false;
  expect(import(three, resnet, &settings), "bn1", value(three, 0), 0, value(three, 1));
}

TEST(KerasImport, DepthwiseKernelsScalesAndLayerNorms) {
  KerasLayer kernel{"expanded_conv_depthwise", {{"depthwise_kernel:0", normal({3, 2, 4, 1}, 1)}}};
  KerasTensors result = published({{kernel}}, network("mobilenet_v2_keras"), "a file");
  const Tensor& w = result.tensors.at("features.1.conv.0.0.weight");
  ASSERT_EQ(w.shape(), (Shape{4, 1, 3, 2}));
  for (int c = 0; c < 4; ++c)
    for (int p = 0; p < 6; ++p)
      EXPECT_EQ(w.data()[c * 6 + p], kernel.weights[0].values.data()[p * 4 + c]);
  KerasLayer scale{"convnext_tiny_stage_1_block_2_layer_scale", {{"variable", normal({5}, 2)}}};
  KerasLayer norm{"convnext_tiny_stem/convnext_tiny_stem_layernorm",
                  {{"gamma", normal({5}, 3)}, {"beta", normal({5}, 4)}}};
  result = published({{scale, norm}}, network("convnext_tiny"), "a file");
  EXPECT_EQ(result.tensors.at("features.3.2.layer_scale").shape(), (Shape{5, 1, 1}));
  EXPECT_TRUE(same_bits(result.tensors.at("features.0.1.weight"), norm.weights[0].values));
  EXPECT_TRUE(same_bits(result.tensors.at("features.0.1.bias"), norm.weights[1].values));
}

TEST(KerasImport, ALayerThatPreparesPixels) {
  auto input = [](std::vector<float> mean, std::vector<float> variance) {
    KerasLayer layer{"normalization", {}};
    for (auto& [name, values] : {std::pair("mean", mean), {"variance", variance}}) {
      Tensor t({3});
      std::copy(values.begin(), values.end(), t.mutable_data());
      layer.weights.push_back({name, t});
    }
    layer.weights.push_back({"count", Tensor::full({}, 0)});
    return published({{layer}}, network("efficientnet_b0_keras"), "a file").input.value();
  };
  KerasInput own = input({0.1f, 0.2f, 0.3f}, {4, 9, 16});
  EXPECT_EQ(own.mean, (std::array<float, 3>{0.1f, 0.2f, 0.3f}));
  EXPECT_EQ(own.deviation, (std::array<float, 3>{2, 3, 4}));
  EXPECT_EQ(own.scale, 1.0f / 255);
  KerasInput published = input({0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f});
  EXPECT_EQ(published.deviation, (std::array<float, 3>{0.229f, 0.224f, 0.225f}));
  error_of([&] { input({0, 0, 0}, {1, 0, 1}); }, Fault::data);
}

// A configuration that says other constants than the row has is another network.
class KerasSettingsTest : public testing::Test {
 protected:
  // "" where the layer is what the row has.
  static std::string refused(const char* architecture, KerasLayer layer, KerasSettings settings) {
    KerasFile file{{layer}};
    file.settings.emplace(layer.name, settings);
    try {
      require_settings(file, match_layers(file, network(architecture)), network(architecture),
                       "a file");
    } catch (const Error& e) {
      EXPECT_EQ(e.fault, Fault::data);
      return e.what();
    }
    return "";
  }
  static KerasSettings convolution(int stride, std::array<int, 4> padding, bool same) {
    return {.convolves = true, .stride = {stride, stride}, .padding = padding, .same = same};
  }
};

TEST_F(KerasSettingsTest, Epsilon) {
  KerasLayer bn = norm("conv1_bn", {"a", "b", "c", "d"});
  EXPECT_EQ(refused("resnet50_v1", bn, {.epsilon = 1.001e-5}), "");
  for (double epsilon : {1e-5, 1e-3, 2e-5}) {
    std::string message = refused("resnet50_v1", bn, {.epsilon = epsilon});
    EXPECT_NE(message.find("conv1_bn: the model has epsilon"), message.npos) << message;
    EXPECT_NE(message.find("1.001e-05"), message.npos) << message;
  }
  KerasLayer ln{"convnext_tiny_stem_layernorm",
                {{"gamma", normal({5}, 3)}, {"beta", normal({5}, 4)}}};
  EXPECT_EQ(refused("convnext_tiny", ln, {.epsilon = 1e-6}), "");
  EXPECT_NE(refused("convnext_tiny", ln, {.epsilon = 1e-5}), "");
}

TEST_F(KerasSettingsTest, StrideAndPadding) {
  auto first = [&](int stride, std::array<int, 4> padding, bool same) {
    return refused("resnet50_v1", conv("conv1_conv"), convolution(stride, padding, same));
  };
  EXPECT_EQ(first(2, {3, 3, 3, 3}, false), "");
  for (auto& message : {first(2, {2, 2, 3, 3}, false), first(2, {}, true), first(2, {}, false),
                        first(2, {3, 3, 3, 3}, true), first(1, {3, 3, 3, 3}, false)})
    EXPECT_NE(message.find("conv1_conv"), message.npos) << message;
  auto inner = [&](std::array<int, 4> padding, bool same) {  // 3x3 at stride 1
    return refused("resnet50_v1", conv("conv2_block1_2_conv"), convolution(1, padding, same));
  };
  EXPECT_EQ(inner({}, true), "");
  EXPECT_EQ(inner({1, 1, 1, 1}, false), "");
  EXPECT_NE(inner({}, false), "");
  EXPECT_NE(inner({0, 0, 2, 2}, false), "");
  EXPECT_EQ(refused("resnet50_v1", conv("conv3_block1_1_conv"), convolution(2, {}, true)),
            "");  // 1x1
}

TEST_F(KerasSettingsTest, Dilation) {
  KerasSettings dilated = convolution(1, {}, true);
  dilated.dilation = {2, 2};
  EXPECT_NE(refused("vgg16", conv("block1_conv1"), dilated), "");
  dilated.dilation = {1, 1};
  EXPECT_EQ(refused("vgg16", conv("block1_conv1"), dilated), "");
}

TEST_F(KerasSettingsTest, PaddingThatDependsOnTheSide) {
  auto stem = [&](std::array<int, 4> padding, bool same) {  // 3x3 at stride 2
    return refused("mobilenet_v2_keras", conv("Conv1"), convolution(2, padding, same));
  };
  EXPECT_EQ(stem({}, true), "");
  EXPECT_EQ(stem({0, 0, 1, 1}, false), "");
  EXPECT_EQ(stem({1, 1, 1, 1}, false), "");
  EXPECT_NE(stem({1, 1, 0, 0}, false), "");
  EXPECT_NE(stem({}, false), "");
  EXPECT_NE(stem({0, 0, 1, 1}, true), "");
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
