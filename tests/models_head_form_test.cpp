// Heads of other forms than one matrix: in every network, through files, frozen and replaced.
#include "models/head_form.h"

#include <gtest/gtest.h>

#include "core/autograd.h"
#include "models/foreign/onnx_export.h"
#include "models/saved.h"
#include "models/zoo.h"
#include "tests/io_scratch.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using test::Scratch;

TEST(HeadForm, SaysWhatItIs) {
  for (const char* text : {"linear", "mlp:1", "mlp:256", "cosine", "knn:20", "knn:1:244"})
    EXPECT_EQ(HeadForm::parse(text).text(), text);
  for (const char* wrong : {"", "mlp", "mlp:", "mlp:0", "mlp:-3", "mlp:2x", "mlp:99999999999", "Linear", "cos"})
    EXPECT_NE(error_of([&] { HeadForm::parse(wrong); }, Fault::usage).find("mlp:"), std::string::npos) << wrong;
  for (const char* wrong : {"knn:", "knn:0", "knn:5:", "knn:5:0", "knn:5:x", "knn:5:9:2", "knn:99999999"})
    EXPECT_NE(error_of([&] { HeadForm::parse(wrong); }, Fault::usage).find("knn:20"), std::string::npos) << wrong;
  EXPECT_NE(error_of([] { build_model("resnet18+knn:20", 2); }, Fault::usage).find("--head knn:20"), std::string::npos);
}

TEST(NetworkName, HasThreeParts) {
  for (const char* text : {"resnet18", "resnet18:layer3", "resnet18+cosine", "resnet18:layer3+mlp:64"}) {
    const NetworkName name = parse_network(text);
    EXPECT_EQ(name.row, "resnet18");
    EXPECT_EQ(name.text(), text);
  }
  EXPECT_EQ(parse_network("resnet18:layer3+mlp:64").head, "mlp:64");
}

std::set<std::string> names_under_head(Classifier& model) {
  std::set<std::string> names;
  for (const auto& [name, tensor] : state_view(model))
    if (name.starts_with(model.head_path() + ".")) names.insert(name.substr(model.head_path().size() + 1));
  return names;
}

using Names = std::set<std::string>;

class HeadZoo : public testing::TestWithParam<ZooRow> {};

// Nothing is computed: values of networks that are only built take no memory.
TEST_P(HeadZoo, EveryNetworkTakesEveryForm) {
  const std::string row = GetParam().name;
  auto plain = build_model(row, 7);
  auto mlp = build_model(row + "+mlp:16", 7), cosine = build_model(row + "+cosine", 7);
  EXPECT_EQ(names_under_head(*mlp), (Names{"0.weight", "0.bias", "2.weight", "2.bias"}));
  EXPECT_EQ(names_under_head(*cosine), (Names{"weight", "log_scale"}));
  for (Classifier* model : {mlp.get(), cosine.get()}) {
    EXPECT_EQ(model->classes(), 7);
    EXPECT_EQ(model->head_path(), plain->head_path());
    freeze(*model, "trunk");
    int64_t trained = 0;
    for (const auto& [name, tensor] : state_view(*model))
      if (name.starts_with(model->head_path() + ".")) trained += tensor.size();
    EXPECT_EQ(parameter_count(*model, true), trained);
  }
  mlp->form_head({});
  EXPECT_EQ(mlp->architecture, row);
  TensorMap before = state_view(*plain), after = state_view(*mlp);
  for (const auto& [name, tensor] : before) EXPECT_EQ(after.at(name).shape(), tensor.shape()) << name;
}

INSTANTIATE_TEST_SUITE_P(All, HeadZoo, testing::ValuesIn(zoo()),
                         [](const auto& info) { return std::string(info.param.name); });

// A head layer, dropout before it, a map before it, a trunk that ends early, a token.
class Heads : public testing::TestWithParam<const char*> {};

std::string text_of(const testing::TestParamInfo<const char*>& info) {
  std::string name = info.param;
  for (char& c : name) c = c == ':' || c == '+' ? '_' : c;
  return name;
}

TEST_P(Heads, SurviveTheirFile) {
  const Scratch scratch;
  auto model = make_model(GetParam(), 3, 5);
  model->class_names = {"a", "b", "c"};
  model->eval();
  NoGrad off;
  const Tensor x = normal({2, 64, 64, 3}, 1), want = (*model)(x);
  EXPECT_EQ(want.shape(), (Shape{2, 3}));
  const auto path = (scratch / "model.h5");
  save_model(path, *model);
  auto again = load_model(path);
  again->eval();
  EXPECT_EQ(again->architecture, GetParam());
  EXPECT_TRUE(same_bits((*again)(x), want));
  auto adopted = adopt(path, "");
  adopted.model->eval();
  EXPECT_TRUE(same_bits((*adopted.model)(x), want));
  EXPECT_TRUE(adopted.report.complete());
}

TEST_P(Heads, AreReplacedByTheirLikeOrByAnother) {
  auto model = make_model(GetParam(), 3, 5);
  TensorMap before = snapshot(*model);
  const HeadForm form = model->head_form();
  model->replace_head(9, 1);
  EXPECT_EQ(model->head_form(), form);
  EXPECT_EQ(model->classes(), 9);
  EXPECT_EQ(model->architecture, GetParam());
  auto twin = make_model(GetParam(), 9, 5);
  twin->replace_head(9, 1);
  EXPECT_TRUE(changed(snapshot(*model), snapshot(*twin)).empty()) << "drawn from the seed alone";
  model->replace_head(9, 1, HeadForm{});
  EXPECT_EQ(model->architecture.find('+'), std::string::npos);
  model->replace_head(4, 1, HeadForm::parse("mlp:8"));
  EXPECT_TRUE(model->architecture.ends_with("+mlp:8"));
  EXPECT_EQ(model->classes(), 4);
  for (const auto& [name, tensor] : snapshot(*model)) {
    const bool of_head = name.starts_with(model->head_path() + ".");
    EXPECT_TRUE(of_head || same_bits(tensor, before.at(name))) << name;
  }
}

TEST_P(Heads, LearnWhereTheTrunkIsFrozen) {
  auto model = make_model(GetParam(), 3, 5);
  freeze(*model, "trunk");
  const TensorMap before = snapshot(*model);
  Optimizer optimizer(*model, {});
  model->train();
  cross_entropy((*model)(normal({4, 64, 64, 3}, 1)), labels_of(4, 3)).backward();
  optimizer.step(0.1);
  const std::vector<std::string> moved = changed(before, snapshot(*model));
  EXPECT_EQ(moved.size(), names_under_head(*model).size());
  for (const std::string& name : moved) EXPECT_TRUE(name.starts_with(model->head_path() + ".")) << name;
}

TEST_P(Heads, AreExported) {
  auto model = make_model(GetParam(), 3, 5);
  const OnnxGraph graph = to_onnx(*model, 64);
  EXPECT_EQ(graph.output.shape, (Shape{-1, 3}));
  EXPECT_EQ(graph.metadata.at("architecture"), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Some, Heads,
                         testing::Values("resnet10_small+mlp:8", "resnet10_small+cosine",
                                         "resnet10_small:layer2+cosine", "squeezenet1_1+mlp:8",
                                         "squeezenet1_1+cosine", "mobilenet_v3_small+mlp:8",
                                         "mobilenet_v3_small+cosine"),
                         text_of);

TEST(Heads, AFileOfAnotherFormIsRefusedByName) {
  const Scratch scratch;
  save_model((scratch / "model.h5"), *make_model("resnet10_small+cosine", 3));
  EXPECT_NE(error_of([&] { adopt((scratch / "model.h5"), "resnet10_small+mlp:8"); }, Fault::data)
                .find("resnet10_small+cosine"),
            std::string::npos);
  EXPECT_EQ(adopt((scratch / "model.h5"), "resnet10_small").model->head_form(), HeadForm::parse("cosine"));
}

}  // namespace
}  // namespace graft
