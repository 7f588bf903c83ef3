#include <cmath>
#include <sstream>

#include "core/autograd.h"
#include "io/sha256.h"
#include "layers/state.h"
#include "models/saved.h"
#include "models/zoo.h"
#include "tests/layer_helpers.h"
#include "tests/published_names.h"

namespace graft {
namespace {

using namespace tests;

class Zoo : public testing::TestWithParam<ZooRow> {};

TEST_P(Zoo, HasThePublishedParameterCount) {
  auto model = build_model(GetParam().name, GetParam().classes);  // values stay untouched pages
  EXPECT_EQ(parameter_count(*model), GetParam().parameters);
  EXPECT_EQ(model->classes(), GetParam().classes);
  EXPECT_EQ(model->architecture, GetParam().name);
}

TEST_P(Zoo, CountsClassesInItsHeadOnly) {
  auto many = build_model(GetParam().name, 1000), few = build_model(GetParam().name, 7);
  std::map<std::string, Shape> shapes;
  each_param(*many, [&](auto& path, Param& p) { shapes[path] = p.shape(); });
  each_param(*few, [&](auto& path, Param& p) {
    bool head = path.starts_with(few->head_path() + ".");
    EXPECT_EQ(p.shape() == shapes.at(path), !head) << path;
    EXPECT_EQ(p.dim(0), head ? 7 : shapes.at(path)[0]) << path;
  });
}

TEST_P(Zoo, TrunkSparesTheHeadOnly) {
  auto model = build_model(GetParam().name, 7);
  freeze(*model, "trunk");
  each_param(*model, [&](auto& path, Param& p) {
    EXPECT_EQ(p.requires_grad(), path.starts_with(model->head_path() + ".")) << path;
  });
}

// Every other tensor stays where it is, and nobody has written to it.
TEST_P(Zoo, ReplaceHeadTouchesTheHeadOnly) {
  auto model = build_model(GetParam().name, 10);
  freeze(*model, "trunk");
  model->train();
  model->class_names = {"a"};
  std::map<std::string, std::pair<const void*, uint64_t>> before;
  auto each_tensor = [&](auto visit) {
    each_param(*model, [&](auto& path, Param& p) { visit(path, p); });
    each_buffer(*model, [&](auto& path, Tensor& t) { visit(path, t); });
  };
  each_tensor([&](auto& path, const Tensor& t) { before[path] = {t.raw(), t.version()}; });
  model->replace_head(3, 5);
  EXPECT_EQ(model->classes(), 3);
  EXPECT_TRUE(model->class_names.empty());
  each_tensor([&](auto& path, const Tensor& t) {
    bool head = path.starts_with(model->head_path() + ".");
    EXPECT_EQ(t.requires_grad(), head) << path;
    EXPECT_EQ(before.at(path) == std::make_pair(t.raw(), t.version()), !head) << path;
  });
  each_module(*model, [](auto& path, Module& m) { EXPECT_TRUE(m.training()) << path; });
  error_of([&] { model->replace_head(0); }, Fault::data);
}

INSTANTIATE_TEST_SUITE_P(Models, Zoo, testing::ValuesIn(zoo().begin(), zoo().end()),
                         [](auto& info) { return std::string(info.param.name); });

class ZooForward : public testing::TestWithParam<const char*> {};

TEST_P(ZooForward, TurnsImagesIntoLogits) {
  const bool small = zoo_row(GetParam()).parameters < 30'000'000;
  auto model = small ? make_model(GetParam(), 7, 1) : build_model(GetParam(), 7);
  NoGrad off;
  for (int64_t side : {64, 71}) {
    Tensor logits = (*model)(normal({2, side, side, 3}, 1));
    EXPECT_EQ(logits.shape(), (Shape{2, 7}));
    EXPECT_TRUE(!small || std::isfinite(sum(logits).item()));
  }
}

INSTANTIATE_TEST_SUITE_P(Models, ZooForward,
                         testing::Values("resnet10_small", "resnet18", "resnet34", "resnet50",
                                         "resnet101", "squeezenet1_0", "squeezenet1_1", "vgg11",
                                         "vgg11_bn", "alexnet", "resnet20", "resnext50_32x4d",
                                         "densenet121", "mobilenet_v2", "mobilenet_v3_small",
                                         "mnasnet0_5", "efficientnet_b0", "efficientnet_v2_s",
                                         "shufflenet_v2_x0_5", "regnet_x_400mf", "regnet_y_400mf",
                                         "googlenet", "convnext_tiny", "swin_t", "swin_v2_t",
                                         "mobilenet_v2_keras", "efficientnet_b0_keras"),
                         [](auto& info) { return std::string(info.param); });

std::map<std::string, Shape> published(const char* table) {
  std::map<std::string, Shape> shapes;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string name;
    if (!(words >> name)) continue;
    Shape shape;
    for (int64_t d; words >> d;) shape.push_back(d);
    if (name.ends_with(".weight") || name.ends_with(".bias")) {
      shapes[name] = shape;
      continue;
    }
    for (const char* part : {".weight", ".bias", ".running_mean", ".running_var"})
      shapes[name + part] = shape;
    shapes[name + ".num_batches_tracked"] = {};
  }
  return shapes;
}

void expect_published(const std::string& name, const char* table) {
  std::map<std::string, Shape> shapes;
  for (auto& [path, tensor] : state(*build_model(name, 1000))) shapes[path] = tensor.shape();
  EXPECT_EQ(shapes, published(table));
}

TEST(ZooNames, AreThePublishedOnes) {
  expect_published("resnet18", kResNet18);
  expect_published("squeezenet1_1", kSqueezeNet11);
}

TEST(ZooNames, AllTensorsAreThePublishedOnes) {
  for (const ZooRow& row : zoo()) {
    const std::string name = row.name;  // ours, and Keras' (models_keras_test.cpp) have no digest
    if (name == "resnet10_small" || name.ends_with("_v1") || name.ends_with("_keras")) continue;
    std::string text;
    auto add = [&](const std::string& path, const Shape& shape) {
      text += path;
      for (int64_t d : shape) text += " " + std::to_string(d);
      text += "\n";
    };
    auto model = row.build(row.classes);
    std::map<std::string, Shape> shapes;  // in order
    each_param(*model, [&](auto& path, Param& p) { shapes[path] = published_shape(p); });
    each_buffer(*model, [&](auto& path, Tensor& t) { shapes[path] = t.shape(); });
    for (auto& [path, shape] : shapes) add(path, shape);
    ASSERT_TRUE(kDigests.contains(row.name)) << row.name << ": golden.py --names makes its digest";
    EXPECT_EQ(sha256(text.data(), text.size()).substr(0, 16), kDigests.at(row.name)) << row.name;
  }
}

// Files from the time when DenseNet's layers had other names, and with auxiliary classifiers.
TEST(ZooNames, OldAndSpareTensorsAreKnown) {
  TensorMap dense = state(*make_model("densenet121", 3));
  TensorMap old;
  for (auto& [name, tensor] : dense) {
    std::string then = name;
    for (const char* part : {".norm1.", ".norm2.", ".conv1.", ".conv2."})
      if (size_t at = then.find(part); at != then.npos) then.insert(at + 5, ".");
    old[then] = tensor;
  }
  EXPECT_TRUE(old.contains("features.denseblock1.denselayer1.norm.1.weight"));
  EXPECT_EQ(recognise(old), "densenet121");
  TensorMap inception = state(*make_model("inception_v3", 3));
  inception["AuxLogits.fc.weight"] = Tensor::zeros({3, 768});
  EXPECT_EQ(recognise(inception), "inception_v3");
  TensorMap google = state(*make_model("googlenet", 3));
  google["aux1.conv.conv.weight"] = Tensor::zeros({128, 512, 1, 1});
  EXPECT_EQ(recognise(google), "googlenet");
}

TEST(ZooNames, UnknownOnesListTheNearest) {
  std::string message = error_of([] { build_model("resnet_18", 2); }, Fault::usage);
  EXPECT_NE(message.find("resnet18"), message.npos) << message;
  message = error_of([] { zoo_row("vgg-16-bn"); }, Fault::usage);
  EXPECT_NE(message.find("vgg16_bn"), message.npos) << message;
  error_of([] { build_model("resnet18", 0); }, Fault::data);
}

TEST(ZooNames, NewHeadsComeFromTheirSeed) {
  const HeadForm mlp = HeadForm::parse("mlp:8");  // a matrix alone begins at zero
  auto a = make_model("resnet10_small", 10, 1), b = make_model("resnet10_small", 4, 1);
  a->replace_head(5, 8, mlp), b->replace_head(5, 8, mlp);
  EXPECT_TRUE(changed(snapshot(*a), snapshot(*b)).empty());
  b->replace_head(5, 9, mlp);
  EXPECT_EQ(changed(snapshot(*a), snapshot(*b)),
            (std::vector<std::string>{"fc.0.bias", "fc.0.weight", "fc.2.bias", "fc.2.weight"}));
}

}  // namespace
}  // namespace graft
