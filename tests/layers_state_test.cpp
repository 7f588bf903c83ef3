#include "layers/state.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

TEST(State, FiltersAreOihwInFiles) {
  Conv2d conv(3, 2, {.kernel = 2});
  for (int64_t o = 0; o < 2; ++o)
    for (int64_t i = 0; i < 3; ++i)
      for (int64_t h = 0; h < 2; ++h)
        for (int64_t w = 0; w < 2; ++w)
          conv.weight.mutable_data()[((o * 2 + h) * 2 + w) * 3 + i] =
              float(1000 * o + 100 * i + 10 * h + w);
  Tensor file = state(conv).at("weight");
  ASSERT_EQ(file.shape(), (Shape{2, 3, 2, 2}));
  for (int64_t at = 0; at < file.size(); ++at)
    EXPECT_EQ(file.data()[at],
              float(1000 * (at / 12) + 100 * (at / 4 % 3) + 10 * (at / 2 % 2) + at % 2));
}

TEST(State, ColumnsOnAMapAreChwInFiles) {
  Linear layer = Linear::on_map(3, 2, 4, 5);
  for (int64_t o = 0; o < 5; ++o)
    for (int64_t at = 0; at < 24; ++at)  // (h, w, c) in memory
      layer.weight.mutable_data()[o * 24 + at] =
          float(1000 * o + 100 * (at % 3) + 10 * (at / 12) + at / 3 % 4);
  Tensor file = state(layer).at("weight");
  ASSERT_EQ(file.shape(), (Shape{5, 24}));
  for (int64_t o = 0; o < 5; ++o)
    for (int64_t at = 0; at < 24; ++at)  // (c, h, w) in files
      EXPECT_EQ(file.data()[o * 24 + at],
                float(1000 * o + 100 * (at / 8) + 10 * (at / 4 % 2) + at % 4));
}

TEST(State, ComesBackToTheBit) {
  SmallNet net(1), other(2);
  Linear on_map = Linear::on_map(3, 2, 4, 5), empty = Linear::on_map(3, 2, 4, 5);
  initialize(on_map, 3), initialize(empty, 4);
  load_state(other, state(net));
  load_state(empty, state(on_map));
  EXPECT_TRUE(changed(snapshot(net), snapshot(other)).empty());
  EXPECT_TRUE(changed(snapshot(on_map), snapshot(empty)).empty());
}

TEST(State, IsACopy) {
  SmallNet net;
  TensorMap file = state(net);
  file.at("fc.bias").mutable_data()[0] = 99;
  file.at("bn1.running_mean").mutable_data()[0] = 99;
  EXPECT_NE(net.fc.bias.data()[0], 99);
  EXPECT_NE(net.bn1.running_mean.data()[0], 99);
}

TEST(State, EveryDifferenceIsListedAndNothingChanges) {
  SmallNet net(1), other(2);
  TensorMap file = state(other), before = snapshot(net);
  file.erase("conv1.weight");
  file.erase("bn1.running_var");
  file["fc.weight"] = Tensor::zeros({1000, 6});
  file["block.0.weight"] = Tensor::zeros({6, 3, 3, 8});  // our order is not the file's
  file["extra.weight"] = Tensor::zeros({1});
  file["module.fc.bias"] = Tensor::zeros({4});
  std::string message = error_of([&] { load_state(net, file); }, Fault::data);
  for (const char* part :
       {"2 missing: conv1.weight and bn1.running_var",
        "2 unexpected: extra.weight and module.fc.bias", "fc.weight: file [1000, 6], model [4, 6]",
        "block.0.weight: file [6, 3, 3, 8], model [6, 8, 3, 3]", "2 misshapen"})
    EXPECT_NE(message.find(part), message.npos) << part << " in: " << message;
  EXPECT_TRUE(changed(before, snapshot(net)).empty());
}

TEST(State, LoadMatchingTakesWhatFits) {
  SmallNet net(1), other(2);
  TensorMap file = state(other), before = snapshot(net);
  file["fc.weight"] = Tensor::zeros({1000, 6});
  file.erase("fc.bias");
  LoadReport report = load_matching(net, file);
  EXPECT_FALSE(report.complete());
  EXPECT_EQ(report.loaded.size(), 13u);
  EXPECT_EQ(report.missing, std::vector<std::string>{"fc.bias"});
  EXPECT_EQ(report.misshapen.size(), 1u);
  TensorMap after = snapshot(net);
  EXPECT_TRUE(same_bits(after.at("fc.weight"), before.at("fc.weight")));
  EXPECT_TRUE(same_bits(after.at("fc.bias"), before.at("fc.bias")));
  EXPECT_TRUE(same_bits(after.at("conv1.weight"), snapshot(other).at("conv1.weight")));
}

TEST(State, HalfPrecisionIsWidened) {
  for (DType half : {DType::f16, DType::bf16}) {
    SmallNet net(1), other(2);
    TensorMap file, rounded;
    for (auto& [name, t] : state(other)) {
      file[name] = t.dtype() == DType::f32 ? t.to(half) : t;
      rounded[name] = t.dtype() == DType::f32 ? t.to(half).to(DType::f32) : t;
    }
    load_state(net, file);
    EXPECT_TRUE(changed(rounded, state(net)).empty());
    EXPECT_EQ(net.fc.weight.dtype(), DType::f32);
  }
}

TEST(State, OldFilesCountNoBatches) {
  SmallNet net;
  TensorMap file = state(net);
  net.bn1.num_batches_tracked.mutable_data<int64_t>()[0] = 7;
  std::erase_if(file, [](auto& row) { return row.first.ends_with("num_batches_tracked"); });
  EXPECT_NO_THROW(load_state(net, file));
  EXPECT_EQ(net.bn1.num_batches_tracked.data<int64_t>()[0], 7);
  file.erase("bn1.running_mean");
  error_of([&] { load_state(net, file); }, Fault::data);
}

TEST(State, LoadingKeepsWhatLearns) {
  SmallNet net(1), other(2);
  freeze(net, FreezePlan::parse("trunk"), "fc");
  net.train();
  load_state(net, state(other));
  EXPECT_EQ(parameter_count(net, true), 28);
  EXPECT_TRUE(net.bn1.training());
  EXPECT_EQ(net.bn1.policy(), NormPolicy::frozen);
}

}  // namespace
}  // namespace graft
