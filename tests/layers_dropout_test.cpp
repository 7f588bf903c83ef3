#include "layers/dropout.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

Sequential two_dropouts() {
  Sequential net;
  net.add(Dropout(0.5f)).add(Dropout(0.5f));
  net.train();
  return net;
}

TEST(Dropout, MaskIsReplayedBySeedAndStep) {
  Sequential net = two_dropouts();
  Tensor x = Tensor::full({64, 100}, 1);
  auto at = [&](uint64_t seed, uint64_t step) {
    set_random_step(net, seed, step);
    return net[0](x);
  };
  Tensor first = at(1, 5);
  EXPECT_FALSE(same_bits(first, at(1, 6)));
  EXPECT_FALSE(same_bits(first, at(2, 5)));
  EXPECT_TRUE(same_bits(first, at(1, 5)));
}

TEST(Dropout, EveryLayerHasItsOwnStream) {
  Sequential net = two_dropouts();
  set_random_step(net, 1, 5);
  Tensor x = Tensor::full({64, 100}, 1);
  EXPECT_FALSE(same_bits(net[0](x), net[1](x)));
}

TEST(Dropout, EvalAndZeroAreTheIdentity) {
  Dropout layer(0.5f);
  Tensor x = normal({8, 9}, 1);
  EXPECT_EQ(layer(x).raw(), x.raw());  // a new layer is in eval mode
  layer.train();
  EXPECT_NE(layer(x).raw(), x.raw());
  layer.p = 0;
  EXPECT_EQ(layer(x).raw(), x.raw());
}

TEST(Dropout, KeepsTheMean) {
  for (float p : {0.1f, 0.5f, 0.9f}) {
    Dropout layer(p);
    layer.train();
    Tensor y = layer(Tensor::full({100, 1000}, 1));
    int64_t zeros = std::count(y.data(), y.data() + y.size(), 0.0f);
    EXPECT_NEAR(double(zeros) / 1e5, p, 0.005);  // over 3 deviations of a fair draw
    for (int64_t i = 0; i < y.size(); ++i) {
      float kept = y.data()[i];
      ASSERT_TRUE(kept == 0 || std::abs(kept * (1 - p) - 1) < 1e-6f) << kept;
    }
    EXPECT_NEAR(mean(y).item(), 1, 0.05);
  }
}

TEST(Dropout, TheGradientHasTheSameMask) {
  Dropout layer(0.3f);
  layer.train();
  Tensor x = Tensor::full({16, 30}, 1);
  x.requires_grad(true);
  Tensor y = layer(x);
  sum(y).backward();
  EXPECT_TRUE(same_bits(x.grad(), y.detach()));
}

}  // namespace
}  // namespace graft
