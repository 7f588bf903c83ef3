#include <algorithm>

#include "core/autograd.h"
#include "layers/freeze.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;
using Names = std::vector<std::string>;

Names learning(Module& m) {
  Names names;
  each_param(m, [&](auto& path, Param& p) {
    if (p.requires_grad()) names.push_back(path);
  });
  return names;
}

void apply(Module& m, const std::string& plan) { freeze(m, FreezePlan::parse(plan), "fc"); }

const Names kHead = {"fc.weight", "fc.bias"};
const Names kAll = {"conv1.weight",   "bn1.weight",   "bn1.bias",  "block.0.weight", "block.0.bias",
                    "block.1.weight", "block.1.bias", "fc.weight", "fc.bias"};

struct Grammar {
  const char* plan;
  Names learn;
  NormPolicy first, second;  // of bn1 and block.1
};

const auto kTrain = NormPolicy::train, kAffine = NormPolicy::affine, kStats = NormPolicy::stats,
           kFrozen = NormPolicy::frozen;
void PrintTo(const Grammar& row, std::ostream* out) { *out << '"' << row.plan << '"'; }

const Grammar kGrammar[] = {
    {"", kAll, kTrain, kTrain},
    {"none", kAll, kTrain, kTrain},
    {"trunk", kHead, kFrozen, kFrozen},
    {"until:fc", kHead, kFrozen, kFrozen},
    {"until:conv1", kAll, kTrain, kTrain},
    {"until:block", {kAll.begin() + 3, kAll.end()}, kFrozen, kTrain},
    {"until:block.1", {kAll.begin() + 5, kAll.end()}, kFrozen, kTrain},
    {"0%", kAll, kTrain, kTrain},
    {"39%", {kAll.begin() + 1, kAll.end()}, kTrain, kTrain},  // 1.95 of 5 layers
    {"40%", {kAll.begin() + 3, kAll.end()}, kFrozen, kTrain},
    {"100%", {}, kFrozen, kFrozen},
    {"block", {"conv1.weight", "bn1.weight", "bn1.bias", "fc.weight", "fc.bias"}, kTrain, kFrozen},
    {"*.bias",
     {"conv1.weight", "bn1.weight", "block.0.weight", "block.1.weight", "fc.weight"},
     kTrain,
     kTrain},
    {"bias-only", {"bn1.bias", "block.0.bias", "block.1.bias", "fc.weight", "fc.bias"}, kAffine, kAffine},
    {"norm-only",
     {"bn1.weight", "bn1.bias", "block.1.weight", "block.1.bias", "fc.weight", "fc.bias"},
     kAffine,
     kAffine},
    {"norm-only !block.0 bn=train",
     {kAll.begin() + 1, kAll.end()},
     kTrain,
     kTrain},
    {"bn? block.1",
     {"conv1.weight", "block.0.weight", "block.0.bias", "fc.weight", "fc.bias"},
     kFrozen,
     kFrozen},
    {"block.[01]",
     {"conv1.weight", "bn1.weight", "bn1.bias", "fc.weight", "fc.bias"},
     kTrain,
     kFrozen},
    {"bn1.*",
     {"conv1.weight", "block.0.weight", "block.0.bias", "block.1.weight", "block.1.bias",
      "fc.weight", "fc.bias"},
     kFrozen,
     kTrain},
    {"trunk !block.0",
     {"block.0.weight", "block.0.bias", "fc.weight", "fc.bias"},
     kFrozen,
     kFrozen},
    {"trunk !block", {"block.0.weight", "block.0.bias", "fc.weight", "fc.bias"}, kFrozen, kFrozen},
    {"!block block",
     {"conv1.weight", "bn1.weight", "bn1.bias", "fc.weight", "fc.bias"},
     kTrain,
     kFrozen},
    {"block.1 !block.1.weight",
     {"conv1.weight", "bn1.weight", "bn1.bias", "block.0.weight", "block.0.bias", "block.1.weight",
      "fc.weight", "fc.bias"},
     kTrain,
     kAffine},
    {"trunk bn=train",
     {"bn1.weight", "bn1.bias", "block.1.weight", "block.1.bias", "fc.weight", "fc.bias"},
     kTrain,
     kTrain},
    {"bn=affine,trunk",
     {"bn1.weight", "bn1.bias", "block.1.weight", "block.1.bias", "fc.weight", "fc.bias"},
     kAffine,
     kAffine},
    {"trunk,bn=stats", kHead, kStats, kStats},
    {"bn=frozen",
     {"conv1.weight", "block.0.weight", "block.0.bias", "fc.weight", "fc.bias"},
     kFrozen,
     kFrozen},
    {"bn=frozen@block",
     {"conv1.weight", "bn1.weight", "bn1.bias", "block.0.weight", "block.0.bias", "fc.weight", "fc.bias"},
     kTrain,
     kFrozen},
    {"until:block bn=affine@block.1", {kAll.begin() + 3, kAll.end()}, kFrozen, kAffine},
    {"trunk bn=stats@bn?", kHead, kStats, kFrozen},
    {"bn=stats bn=affine@bn1",
     {"conv1.weight", "bn1.weight", "bn1.bias", "block.0.weight", "block.0.bias", "fc.weight", "fc.bias"},
     kAffine,
     kStats},
    {"bn=affine@bn1 bn=frozen",  // the last that matches counts
     {"conv1.weight", "block.0.weight", "block.0.bias", "fc.weight", "fc.bias"},
     kFrozen,
     kFrozen},
};

class Plan : public testing::TestWithParam<Grammar> {};

TEST_P(Plan, SaysWhatLearns) {
  SmallNet net;
  apply(net, "trunk");  // a plan starts from everything learning, whatever was before
  apply(net, GetParam().plan);
  EXPECT_EQ(learning(net), GetParam().learn);
  EXPECT_EQ(name_of(net.bn1.policy()), std::string(name_of(GetParam().first)));
  auto& second = dynamic_cast<BatchNorm2d&>(net.block[1]);
  EXPECT_EQ(name_of(second.policy()), std::string(name_of(GetParam().second)));
}

TEST_P(Plan, TextComesBack) {
  FreezePlan plan = FreezePlan::parse(GetParam().plan);
  FreezePlan again = FreezePlan::parse(plan.text());
  EXPECT_EQ(plan.terms, again.terms);
  EXPECT_EQ(plan.norms, again.norms);
  EXPECT_EQ(plan.text(), again.text());
}

// What frozen_tensors promises, and nothing else, stays through three updates.
TEST_P(Plan, HoldsToTheBit) {
  for (auto kind : {OptimizerOptions::Kind::sgd, OptimizerOptions::Kind::adamw}) {
    SmallNet net;
    apply(net, GetParam().plan);
    if (learning(net).empty()) continue;
    Names frozen;
    for (auto& [path, tensor] : frozen_tensors(net)) frozen.push_back(path);
    std::sort(frozen.begin(), frozen.end());
    TensorMap before = snapshot(net);
    Optimizer optimizer(net, {.kind = kind, .weight_decay = 0.1});
    for (int step = 0; step < 3; ++step)
      train_step(net, optimizer, normal({4, 9, 9, 3}, uint64_t(step)), labels_of(4, 4));
    Names stayed;
    TensorMap after = snapshot(net);
    for (auto& [name, tensor] : after)
      if (same_bits(tensor, before.at(name))) stayed.push_back(name);
    EXPECT_EQ(stayed, frozen);
  }
}

INSTANTIATE_TEST_SUITE_P(Freeze, Plan, testing::ValuesIn(kGrammar));

TEST(Freeze, MistypedNamesListTheNearest) {
  SmallNet net;
  struct {
    const char *plan, *nearest;
  } cases[] = {{"until:blok", "block"},      {"conv2", "conv1"}, {"!fd", "fc"},
               {"bn1.wieght", "bn1.weight"}, {"x*y", "block"},   {"!", "fc"},
               {"bn=train@blok", "block"}};
  for (auto& c : cases) {
    Names before = learning(net);
    std::string message = error_of([&] { apply(net, c.plan); }, Fault::usage);
    EXPECT_NE(message.find("nearest"), message.npos) << message;
    EXPECT_NE(message.find(c.nearest), message.npos) << message;
  }
  for (const char* plan : {"120%", "-1%", "x%", "%", "bn=of", "nan%", "bn=of@bn1", "bn=frozen@", "bn=frozen@fc"})
    error_of([&] { apply(net, plan); }, Fault::usage);
}

TEST(Freeze, TableListsLayersInOrder) {
  SmallNet net;
  apply(net, "until:block.1");
  auto rows = freeze_table(net);
  ASSERT_EQ(rows.size(), 5u);
  EXPECT_EQ(rows[1].layer, "bn1");
  EXPECT_EQ(rows[1].description, "BatchNorm2d 8, frozen");
  EXPECT_EQ(rows[1].parameters, 16);
  EXPECT_EQ(rows[1].trained, 0);
  EXPECT_EQ(rows[3].description, "BatchNorm2d 6, train");
  EXPECT_EQ(rows[3].trained, 12);
}

TEST(Freeze, FrozenPrefixRecordsNothingAndKeepsNothing) {
  SmallNet net;
  apply(net, "trunk");
  net.train();
  Tensor x = normal({2, 9, 9, 3}, 1);
  Tensor y = conv_norm_act(x, net.conv1, &net.bn1, Activation::relu);
  EXPECT_FALSE(y.requires_grad());
  EXPECT_EQ(node_of(y), nullptr);
  std::weak_ptr<Storage> kept = y.impl()->storage;
  y = net.block(std::move(y));
  EXPECT_EQ(node_of(y), nullptr);
  EXPECT_TRUE(kept.expired());
  Tensor features = global_avg_pool(y);
  std::weak_ptr<Storage> map = y.impl()->storage;
  y = {};
  Tensor logits = net.fc(features);
  EXPECT_TRUE(map.expired());
  ASSERT_NE(node_of(logits), nullptr);
  for (const Edge& edge : node_of(logits)->edges)
    EXPECT_EQ(edge.input->node, nullptr);  // leaves only: fc.weight and fc.bias
}

TEST(Freeze, FrozenLayerAboveOneThatLearnsPassesTheGradientDown) {
  SmallNet net;
  apply(net, "block fc");
  net.train();
  Tensor x = normal({2, 9, 9, 3}, 1);
  cross_entropy(net(x), labels_of(2, 4)).backward();
  each_param(net, [](auto& path, Param& p) {
    bool first = path.starts_with("conv1") || path.starts_with("bn1");
    EXPECT_EQ(p.grad().defined(), first) << path;
  });
  EXPECT_GT(std::abs(net.bn1.weight.grad().data()[0]), 0);
}

TEST(Freeze, FrozenTensorsListsExactlyWhatStays) {
  SmallNet net;
  auto names = [&](const char* plan) {
    apply(net, plan);
    Names all;
    for (auto& [path, tensor] : frozen_tensors(net)) all.push_back(path);
    return all;
  };
  EXPECT_EQ(names("none"), Names{});
  EXPECT_EQ(names("bn1"), (Names{"bn1.weight", "bn1.bias", "bn1.running_mean", "bn1.running_var",
                                 "bn1.num_batches_tracked"}));
  EXPECT_EQ(names("bn1,bn=stats"),
            (Names{"bn1.weight", "bn1.bias", "block.1.weight", "block.1.bias"}));
  EXPECT_EQ(names("bn=affine").size(), 6u);
}

}  // namespace
}  // namespace graft
