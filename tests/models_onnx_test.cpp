// Networks as ONNX: what stands in the graph. That it computes the same, onnxruntime says, see
// tests/cli/test_onnx.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <set>

#include "core/ops.h"
#include "io/safetensors.h"
#include "layers/conv2d.h"
#include "layers/init.h"
#include "layers/linear.h"
#include "layers/state.h"
#include "models/foreign/onnx_export.h"
#include "models/zoo.h"
#include "tests/io_scratch.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using test::Scratch;

class OnnxZoo : public testing::TestWithParam<ZooRow> {};

// Every published tensor is there once, under its name and in its shape; besides, only numbers.
// Of Swin: what its windows look up and the biases of V2's queries become constants on the way.
bool is_computed(const std::string& name, const std::string& architecture) {
  return name.find("relative_") != name.npos || name.find("cpb_mlp.") != name.npos ||
         (architecture.starts_with("swin_v2") && name.ends_with("attn.qkv.bias"));
}

TEST_P(OnnxZoo, KeepsThePublishedTensors) {
  auto model = build_model(GetParam().name, 7);
  OnnxGraph graph = to_onnx(*model, GetParam().preprocess.crop);
  std::map<std::string, Shape> found;
  for (const auto& [name, tensor] : graph.tensors) {
    EXPECT_TRUE(found.emplace(name, tensor.shape()).second) << name;
    bool small = name.starts_with("number_") || name.starts_with("integers_") || tensor.size() <= 8;
    EXPECT_TRUE(small || state_view(*model).contains(name) || name.starts_with("constant")) << name;
  }
  for (const auto& [name, tensor] : state_view(*model)) {
    if (name.ends_with("num_batches_tracked") || is_computed(name, GetParam().name)) continue;
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(element_count(found.at(name)), tensor.size()) << name;
    EXPECT_TRUE(name.ends_with("_scale") || found.at(name) == tensor.shape()) << name;
  }
}

// What a node reads was made before; names are made once.
TEST_P(OnnxZoo, IsAGraphInOrder) {
  auto model = build_model(GetParam().name, 7);
  OnnxGraph graph = to_onnx(*model, GetParam().preprocess.crop);
  const int64_t side = GetParam().preprocess.crop;
  EXPECT_EQ(graph.input.shape, (Shape{-1, 3, side, side}));
  EXPECT_EQ(graph.output.shape, (Shape{-1, 7}));
  std::set<std::string> made{"input"}, nodes;
  for (const auto& [name, tensor] : graph.tensors) made.insert(name);
  for (const OnnxNode& node : graph.nodes) {
    EXPECT_TRUE(nodes.insert(node.name).second) << node.name;
    for (const std::string& name : node.inputs) EXPECT_TRUE(made.contains(name)) << name;
    for (const std::string& name : node.outputs) EXPECT_TRUE(made.insert(name).second) << name;
  }
  EXPECT_TRUE(made.contains("logits"));
}

INSTANTIATE_TEST_SUITE_P(All, OnnxZoo, testing::ValuesIn(zoo()),
                         [](const auto& info) { return std::string(info.param.name); });

int count(const OnnxGraph& graph, const std::string& type) {
  return int(std::count_if(graph.nodes.begin(), graph.nodes.end(),
                           [&](const OnnxNode& node) { return node.type == type; }));
}

TEST(Onnx, TurnsNothingInAConvolutionalNetwork) {
  EXPECT_EQ(count(to_onnx(*build_model("resnet50", 2), 64), "Transpose"), 0);
  EXPECT_EQ(count(to_onnx(*build_model("vgg11", 2), 224), "Transpose"), 0);  // matrices of (C,H,W)
}

TEST(Onnx, SaysWhatTheNetworkWants) {
  auto model = build_model("resnet10_small", 2);
  model->class_names = {"a \"cat\"", "d\xff g"};
  model->class_ids = {"n1", "n2"};
  OnnxGraph graph = to_onnx(*model, 32);
  EXPECT_EQ(graph.metadata.at("architecture"), "resnet10_small");
  EXPECT_EQ(graph.metadata.at("mean"), "[0.485, 0.456, 0.406]");
  EXPECT_EQ(graph.metadata.at("crop"), "32");
  EXPECT_EQ(graph.metadata.at("classes"), "[\"a \\\"cat\\\"\",\"d\xef\xbf\xbd g\"]");
  EXPECT_EQ(graph.metadata.at("class_ids"), "[\"n1\",\"n2\"]");
}

TEST(Onnx, LeavesTheModelAsItIs) {
  auto model = make_model("mobilenet_v2", 3, 1);
  freeze(*model, "trunk");
  model->train();
  Tensor x = normal({2, 64, 64, 3}, 1);
  TensorMap before = snapshot(*model);
  model->eval();
  Tensor y = (*model)(x);
  model->train();
  OnnxGraph graph = to_onnx(*model, 64);
  EXPECT_TRUE(model->training());
  EXPECT_TRUE(changed(before, snapshot(*model)).empty());
  each_param(*model, [&](const std::string& path, Param& p) {
    EXPECT_EQ(p.requires_grad(), path.starts_with(model->head_path())) << path;
  });
  model->eval();
  EXPECT_TRUE(same_bits(y, (*model)(x)));
}

// A network of one convolution with something after it.
class Odd : public Classifier {
 public:
  explicit Odd(std::function<Tensor(Tensor)> after)
      : conv(3, 4, {}), fc(4, 2), after_(std::move(after)) {
    architecture = "odd";
  }
  Steps steps() override {
    return {{{"conv"}, [this](Tensor x) { return global_avg_pool(after_(conv(std::move(x)))); }}};
  }
  Tensor head(Tensor features) override { return fc(std::move(features)); }
  std::string head_path() const override { return "fc"; }
  std::string describe() const override { return "odd"; }
  GRAFT_FIELDS(conv, fc)
  Conv2d conv;
  Linear fc;

 private:
  Module& head_layer() override { return fc; }
  void set_head(std::unique_ptr<Module>) override {}
  std::function<Tensor(Tensor)> after_;
};

std::string message_of(std::function<Tensor(Tensor)> after) {
  Odd model(std::move(after));
  try {
    to_onnx(model, 8);
  } catch (const Error& e) {
    EXPECT_EQ(e.fault, Fault::data);
    return e.what();
  }
  return "";
}

TEST(Onnx, AnUnknownOperationIsNamed) {
  EXPECT_EQ(message_of([](Tensor x) { return relu(x); }), "");
  std::string message = message_of([](Tensor x) { return dropout(x, 0.5f, 1, random_step(1)); });
  EXPECT_NE(message.find("dropout"), std::string::npos) << message;
  message = message_of([](Tensor x) { return mul(x, sum(x).reshape({1, 1, 1, 1})); });
  EXPECT_NE(message.find("mul"), std::string::npos) << message;  // shapes do not fit, as ever
}

TEST(Onnx, APartOfAValueIsRefused) {
  auto halves = [](Tensor x) { return relu(x.rows(0, 1)); };
  EXPECT_NE(message_of(halves).find("a part [1, 8, 8, 4]"), std::string::npos);
}

TEST(Onnx, WhatIsMadeOfValuesBehindItsBackIsNoConstant) {
  auto copies = [](Tensor x) { return add(x, x.clone()); };
  EXPECT_NE(message_of(copies).find("no operation"), std::string::npos) << message_of(copies);
  auto differs = [](Tensor x) {
    Tensor y = Tensor::zeros(x.shape());
    y.mutable_data()[0] = 1;
    return add(x, y);
  };
  EXPECT_NE(message_of(differs).find("for every image"), std::string::npos);
}

TEST(Onnx, AConstantForEveryImageIsRepeated) {
  Odd model([](Tensor x) { return concat({x, Tensor::zeros(x.shape())}); });
  model.fc = Linear(8, 2);
  EXPECT_EQ(count(to_onnx(model, 8), "Expand"), 1);
}

TEST(Onnx, TwoGigabytesAreTheEnd) {
  Scratch scratch;
  auto model = build_model("regnet_y_128gf", 1000);
  try {
    write_onnx(scratch / "m.onnx", to_onnx(*model, 224), "1");
    FAIL() << "was written";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("2 GiB"), std::string::npos) << e.what();
  }
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

// Networks of operations that the zoo has not, or not in this form. Where GRAFT_ONNX_DIR names a
// folder they are left there with an input and what graft makes of it, for onnxruntime to agree.
struct OddCase {
  const char* name;
  std::function<Tensor(Tensor)> after;  // (N,9,9,4) -> (N,...,4)
};

void PrintTo(const OddCase& c, std::ostream* out) { *out << c.name; }

Tensor weights(Shape shape, uint64_t seed) { return normal(std::move(shape), seed, 0.5f); }

Tensor positive(Shape shape, uint64_t seed) {
  Tensor t = weights(std::move(shape), seed);
  for (int64_t i = 0; i < t.size(); ++i) t.mutable_data()[i] = 0.5f + std::abs(t.data()[i]);
  return t;
}

// Back to a map, so that what follows can take it.
Tensor as_map(const Tensor& x) { return x.reshape({x.dim(0), 1, -1, 4}); }

std::vector<OddCase> odd_cases() {
  std::vector<OddCase> all{
      {"avg_pool_ceil_counted",
       [](Tensor x) { return avg_pool2d(x, {{3, 2}, {2, 2}, {1, 0, 1, 0}, true, true}); }},
      {"avg_pool_ceil_uncounted",
       [](Tensor x) { return avg_pool2d(x, {{3, 2}, {3, 2}, {1, 1, 1, 0}, true, false}); }},
      {"avg_pool_padded", [](Tensor x) { return avg_pool2d(x, {{3, 3}, {2, 2}, {1, 1, 1, 1}}); }},
      {"max_pool_ceil",
       [](Tensor x) { return max_pool2d(x, {{2, 3}, {4, 2}, {1, 1, 0, 1}, true}); }},
      {"max_pool_uneven", [](Tensor x) { return max_pool2d(x, {{3, 2}, {1, 2}, {2, 0, 1, 1}}); }},
      {"adaptive_uneven", [](Tensor x) { return adaptive_avg_pool2d(x, 4, 7); }},
      {"adaptive_even", [](Tensor x) { return adaptive_avg_pool2d(x, 3, 9); }},
      {"pad", [](Tensor x) { return pad(x, {1, 0, 2, 3}, 0.25f); }},
      {"conv_uneven",
       [](Tensor x) {
         return conv2d(x, weights({4, 2, 3, 2}, 1), weights({4}, 2),
                       {{2, 1}, {1, 0, 0, 2}, {1, 2}, 2}, Activation::silu);
       }},
      {"batch_norm_rows",
       [](Tensor x) {
         Tensor y = global_avg_pool(x);
         y = batch_norm_frozen(y, weights({4}, 1), {}, weights({4}, 2), positive({4}, 3), 1e-3f);
         return as_map(batch_norm_frozen(y, {}, weights({4}, 4), weights({4}, 5), positive({4}, 6),
                                         1e-3f, Activation::sigmoid, y));
       }},
      {"layer_norm",
       [](Tensor x) { return layer_norm(x, weights({4}, 1), weights({4}, 2), 1e-3f); }},
      {"mul_add_channels", [](Tensor x) { return add(mul(x, weights({4}, 1)), weights({4}, 2)); }},
      {"mul_add_tokens",
       [](Tensor x) {
         x = x.reshape({x.dim(0), 81, 4});
         return as_map(add(mul(x, weights({4}, 1)), x));
       }},
      {"scale_softmax", [](Tensor x) { return scale(softmax(x), 3); }},
      {"linear_matmul",
       [](Tensor x) {
         Tensor y = matmul(flatten(x), weights({324, 8}, 1));
         return as_map(linear(y, weights({4, 8}, 2), {}, Activation::hardsigmoid));
       }},
      {"linear_of_pixels", [](Tensor x) { return linear(x, weights({4, 4}, 2), weights({4}, 3)); }},
      {"frozen_scale",
       [](Tensor x) {
         FrozenFilter filter{weights({4, 1, 1, 4}, 1), weights({4}, 2), 1, {}};
         return conv2d(x, filter, weights({4}, 3), {}, Activation::hardswish);
       }},
      {"flat_part",
       [](Tensor x) {
         Tensor flat = relu(flatten(x));
         return as_map(channels(add(flat, flatten(x)), 7, 31));
       }},
      {"shuffle",
       [](Tensor x) { return add(shuffle_channels(x, 2), as_map(x).reshape(x.shape())); }},
      {"shuffle_flat", [](Tensor x) { return as_map(shuffle_channels(flatten(x), 3)); }},
      {"gate", [](Tensor x) { return mul_images(x, adaptive_avg_pool2d(x, 1, 1)); }},
      {"tokens",
       [](Tensor x) {
         x = add_tokens(x.reshape({x.dim(0), 81, 4}), weights({4}, 1), weights({82, 4}, 2));
         return as_map(attention(concat({x, scale(x, 0.5f), relu(x)}), {.heads = 2}));
       }},
      {"repeated", [](Tensor x) { return add(x, Tensor::full(x.shape(), 0.5f)); }},
  };
  for (Activation a : {Activation::relu, Activation::relu6, Activation::sigmoid, Activation::silu,
                       Activation::gelu, Activation::hardswish, Activation::hardsigmoid})
    all.push_back({name_of(a), [a](Tensor x) { return activate(scale(x, 4), a); }});
  return all;
}

class OnnxOdd : public testing::TestWithParam<OddCase> {};

TEST_P(OnnxOdd, IsWritten) {
  Odd model(GetParam().after);
  initialize(model, 3);
  model.eval();
  OnnxGraph graph = to_onnx(model, 9);
  EXPECT_EQ(graph.output.shape, (Shape{-1, 2}));
  Scratch scratch;
  const char* left = std::getenv("GRAFT_ONNX_DIR");
  const std::filesystem::path folder = left ? left : scratch.path();
  const std::string name = GetParam().name;
  write_onnx(folder / (name + ".onnx"), graph, "1");
  Tensor x = normal({3, 9, 9, 3}, 1);
  write_safetensors(folder / (name + ".safetensors"), {{"input", x}, {"logits", model(x).detach()}},
                    {});
}

INSTANTIATE_TEST_SUITE_P(All, OnnxOdd, testing::ValuesIn(odd_cases()),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace graft
