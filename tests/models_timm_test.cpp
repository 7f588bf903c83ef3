#include <sstream>

#include "layers/state.h"
#include "models/foreign/import.h"
#include "models/foreign/timm_import.h"
#include "models/foreign/timm_names.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"
#include "tests/timm_names.h"

namespace graft {
namespace {

using namespace tests;

using Sources = std::map<std::string, TensorSource>;

// "a.[0-2].b" -> a.0.b, a.1.b, a.2.b
std::vector<std::string> expand(const std::string& name) {
  const size_t open = name.find('['), dash = name.find('-', open), close = name.find(']');
  if (open == name.npos) return {name};
  std::vector<std::string> names;
  const int last = std::stoi(name.substr(dash + 1));
  for (int i = std::stoi(name.substr(open + 1)); i <= last; ++i)
    names.push_back(name.substr(0, open) + std::to_string(i) + name.substr(close + 1));
  return names;
}

TensorMap tensors_of(const TimmNames& network) {
  TensorMap tensors;
  std::istringstream lines(network.names);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string pattern;
    if (!(words >> pattern)) continue;
    Shape shape;
    for (int64_t d; words >> d;) shape.push_back(d);
    const bool one = shape.size() > 1 || pattern.ends_with(".weight") || pattern.ends_with(".bias") ||
                     pattern.ends_with(".gamma");
    for (const std::string& name : expand(pattern)) {
      if (one) tensors[name] = Tensor(shape);
      for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
        if (!one) tensors[name + part] = Tensor(shape);
      if (!one) tensors[name + ".num_batches_tracked"] = Tensor(Shape{}, DType::i64);
    }
  }
  return tensors;
}

const TimmNames& named(const std::string& timm) {
  for (const TimmNames& network : kTimmNames)
    if (network.timm == timm) return network;
  throw std::out_of_range(timm);
}

std::optional<TimmTensors> import(const TensorMap& tensors, const std::string& row = "") {
  Sources sources;
  for (auto& [name, tensor] : tensors) sources[name] = {name, "kept"};
  return from_timm(tensors, sources, row, "w.pth");
}

class Timm : public testing::TestWithParam<TimmNames> {};

TEST_P(Timm, NamesAreKnown) {
  const TimmNames& network = GetParam();
  const TensorMap tensors = tensors_of(network);
  const TimmTwin* twin = timm_twin(network.row);
  if (twin) {
    std::string message = error_of([&] { import(tensors); }, Fault::data);
    EXPECT_NE(message.find(network.timm), message.npos) << message;
    std::string advice = std::string("--model ") + network.row;
    EXPECT_EQ(message.find(advice) == message.npos, twin->none_is_same) << message;
  }
  if (twin && twin->none_is_same) {
    error_of([&] { import(tensors, network.row); }, Fault::data);
    return;
  }
  auto renamed = import(tensors, twin ? network.row : "");
  ASSERT_TRUE(renamed);
  EXPECT_EQ(renamed->architecture, network.row);
  EXPECT_TRUE(renamed->dropped.empty());
  LoadReport report = compare_state(*build_model(network.row, 1000), renamed->tensors);
  EXPECT_TRUE(report.complete()) << report.text();
  std::set<std::string> from;
  for (auto& [name, source] : renamed->sources) {
    EXPECT_TRUE(from.insert(source.name).second) << source.name;
    const bool same = renamed->tensors.at(name).shape() == tensors.at(source.name).shape();
    EXPECT_EQ(source.transform == "kept", same) << name << " " << source.transform;
  }
  EXPECT_EQ(from.size(), tensors.size());
}

INSTANTIATE_TEST_SUITE_P(Networks, Timm, testing::ValuesIn(kTimmNames),
                         [](auto& info) { return std::string(info.param.timm); });

TEST(TimmNames, OfTheZooAreNotTimms) {
  for (const ZooRow& row : zoo()) {
    const std::string name = row.name;
    if (name.find("128gf") != name.npos) continue;
    EXPECT_FALSE(import(state_view(*build_model(name, 3)))) << name;
  }
}

TEST(TimmNames, PlacesAreTheRightOnes) {
  auto target = [](const char* network, const char* name) {
    return import(tensors_of(named(network)))->sources.at(name);
  };
  EXPECT_EQ(target("mobilenetv2_100", "features.2.conv.1.1.running_var").name,
            "blocks.1.0.bn2.running_var");
  EXPECT_EQ(target("convnext_tiny", "features.5.8.layer_scale").name, "stages.2.blocks.8.gamma");
  EXPECT_EQ(target("convnext_tiny", "features.5.8.layer_scale").transform, "[384] -> [384, 1, 1]");
  EXPECT_EQ(target("vgg11_bn", "classifier.0.weight").transform,
            "[4096, 512, 7, 7] -> [4096, 25088]");
  EXPECT_EQ(target("swin_tiny_patch4_window7_224", "features.2.norm.weight").name,
            "layers.1.downsample.norm.weight");
}

// Before 2023 a stage of Swin ended with its merging, and index and mask were stored.
TEST(TimmNames, OlderOnesOfSwinAreKnown) {
  TensorMap tensors;
  for (auto& [name, tensor] : tensors_of(named("swin_tiny_patch4_window7_224"))) {
    std::string older = name;
    if (older.find("downsample") != older.npos) --older[std::string("layers.").size()];
    if (older.starts_with("head.fc.")) older.erase(5, 3);
    tensors[older] = tensor;
  }
  tensors["layers.0.blocks.1.attn_mask"] = Tensor({64, 49, 49});
  tensors["layers.0.blocks.1.attn.relative_position_index"] = Tensor({49, 49}, DType::i64);
  auto renamed = import(tensors);
  ASSERT_TRUE(renamed);
  EXPECT_EQ(renamed->architecture, "swin_t");
  EXPECT_EQ(renamed->sources.at("features.2.norm.weight").name, "layers.0.downsample.norm.weight");
  EXPECT_EQ(renamed->sources.at("features.6.norm.weight").name, "layers.2.downsample.norm.weight");
  EXPECT_EQ(renamed->tensors.at("features.1.1.attn.relative_position_index").shape(), Shape{2401});
  EXPECT_EQ(renamed->dropped,
            std::vector<std::string>{"layers.0.blocks.1.attn_mask (of no use here)"});
}

TEST(TimmNames, AnotherFamilyIsAnError) {
  std::string message =
      error_of([] { import(tensors_of(named("convnext_tiny")), "resnet50"); }, Fault::data);
  EXPECT_NE(message.find("convnext; resnet50 is none"), message.npos) << message;
}

// The same names and shapes, other constants.
TEST(TimmNames, NetworksOfKerasAreNotTimms) {
  std::string message = error_of(
      [] { import(tensors_of(named("mobilenetv2_100")), "mobilenet_v2_keras"); }, Fault::data);
  EXPECT_NE(message.find("--model mobilenet_v2"), message.npos) << message;
}

// Another width, or a head that lacks, is told by what differs.
TEST(TimmNames, WhatDoesNotFitIsShownUnderPublishedNames) {
  TensorMap tensors = tensors_of(named("convnext_tiny"));
  tensors.erase("head.fc.bias");
  auto renamed = import(tensors);
  ASSERT_TRUE(renamed);
  EXPECT_EQ(renamed->architecture, "");
  LoadReport report = compare_state(*build_model("convnext_tiny", 1000), renamed->tensors);
  EXPECT_EQ(report.missing, std::vector<std::string>{"classifier.2.bias"});
}

}  // namespace
}  // namespace graft
