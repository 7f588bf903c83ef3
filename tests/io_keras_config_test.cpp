// What is read of a model's configuration, as the three Keras write it.
#include "io/keras_forms.h"
#include "tests/io_scratch.h"

namespace graft::test {
namespace {

using keras::settings_in_config;

KerasSettings one(const keras::AllSettings& all, const std::string& name) {
  EXPECT_EQ(all.count(name), 1u) << name;
  return all.contains(name) ? all.find(name)->second : KerasSettings{};
}

const char* kKeras3 = R"({"class_name": "Functional", "config": {"name": "m", "layers": [
  {"class_name": "InputLayer", "config": {"name": "in"}, "inbound_nodes": []},
  {"class_name": "ZeroPadding2D", "config": {"name": "pad", "padding": [[0, 1], [2, 3]]},
   "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [null, 8],
     "keras_history": ["in", 0, 0]}}], "kwargs": {}}]},
  {"class_name": "BatchNormalization", "config": {"name": "bn", "epsilon": 0.002, "scale": false},
   "inbound_nodes": []},
  {"class_name": "DepthwiseConv2D", "config": {"name": "dw", "strides": [2, 2], "padding": "valid"},
   "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__", "config": {"shape": [null, 8],
     "keras_history": ["pad", 0, 0]}}], "kwargs": {}}]},
  {"class_name": "Functional", "config": {"name": "inner", "layers": [
    {"class_name": "Conv2D", "config": {"name": "deep", "strides": [1, 1], "padding": "same"}}]}}]}})";

TEST(KerasConfig, OfKeras3) {
  auto all = settings_in_config(kKeras3, "a file");
  KerasSettings bn = one(all, "bn"), dw = one(all, "dw"), deep = one(all, "deep");
  EXPECT_EQ(bn.epsilon, 0.002);
  EXPECT_TRUE(!bn.scale && bn.center && !bn.convolves && dw.convolves);
  EXPECT_EQ(dw.padding, (std::array<int, 4>{0, 2, 1, 3}));
  EXPECT_EQ(dw.stride, (std::array<int, 2>{2, 2}));
  EXPECT_TRUE(!dw.same && deep.same && !dw.epsilon);
}

TEST(KerasConfig, OfKeras2AndItsSequences) {
  auto all = settings_in_config(R"({"class_name": "Model", "config": {"layers": [
    {"class_name": "ZeroPadding2D", "config": {"name": "pad", "padding": [3, 3]}, "inbound_nodes": []},
    {"class_name": "Conv2D", "config": {"name": "other", "padding": "same"},
     "inbound_nodes": [[["in", 0, 0, {}]]]},
    {"class_name": "Conv2D", "config": {"name": "stem", "padding": "valid"},
     "inbound_nodes": [[["pad", 0, 0, {}]]]}]}})", "a file");
  EXPECT_EQ(one(all, "stem").padding, (std::array<int, 4>{3, 3, 3, 3}));
  EXPECT_EQ(one(all, "other").padding, (std::array<int, 4>{}));
  all = settings_in_config(R"({"class_name": "Sequential", "config": {"layers": [
    {"class_name": "ZeroPadding2D", "config": {"name": "pad", "padding": 1}},
    {"class_name": "Conv2D", "config": {"name": "next"}},
    {"class_name": "Conv2D", "config": {"name": "last"}}]}})", "a file");
  EXPECT_EQ(one(all, "next").padding, (std::array<int, 4>{1, 1, 1, 1}));
  EXPECT_EQ(one(all, "last").padding, (std::array<int, 4>{}));
}

TEST(KerasConfig, OfKeras1) {
  auto all = settings_in_config(R"({"class_name": "Sequential", "config": [
    {"class_name": "Convolution2D", "config": {"name": "c", "subsample": [2, 2], "border_mode": "same"}}]})",
                                "a file");
  EXPECT_TRUE(one(all, "c").same);
  EXPECT_EQ(one(all, "c").dilation, (std::array<int, 2>{1, 1}));
  EXPECT_EQ(one(all, "c").stride, (std::array<int, 2>{2, 2}));
}

TEST(KerasConfig, IsRefusedInOneLineWhereItMakesNoSense) {
  for (const char* strides : {"\"two\"", "[]", "{}", "[[2]]", "null", "2.5"}) {
    std::string config = fmt::format(R"({{"config": {{"layers": [{{"class_name": "Conv2D",
      "config": {{"name": "c", "strides": {}}}}}]}}}})", strides);
    std::string message = error_of([&] { settings_in_config(config, "a file"); });
    EXPECT_NE(message.find("a file"), message.npos) << message;
    EXPECT_EQ(message.find('\n'), message.npos) << message;
  }
  EXPECT_TRUE(settings_in_config("null", "a file").empty());
  EXPECT_TRUE(settings_in_config(R"({"config": {"layers": 3}})", "a file").empty());
}

TEST(KerasConfig, IsFoundBelowTheModelsAround) {
  KerasFile file;
  file.settings = settings_in_config(kKeras3, "a file");
  EXPECT_TRUE(file.settings_of({"inner/deep", {}}).at(0).same);
  EXPECT_EQ(file.settings_of({"outer/inner/bn", {}}).size(), 1u);
  EXPECT_TRUE(file.settings_of({"dense", {}}).empty());
}

}  // namespace
}  // namespace graft::test
