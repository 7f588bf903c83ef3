#include "layers/init.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

TEST(Init, SameSeedSameBits) {
  SmallNet a(5), b(5), c(6);
  EXPECT_TRUE(changed(snapshot(a), snapshot(b)).empty());
  EXPECT_FALSE(same_bits(a.conv1.weight, c.conv1.weight));
}

// The last layer differs in size, and one in the middle is gone: the others draw as before.
TEST(Init, ALayerNeverChangesWhatOthersGet) {
  Sequential a, b;
  a.add(Linear(7, 5)).add(Linear(5, 5)).add(Linear(5, 3));
  b.add(Linear(7, 5)).add(relu_layer()).add(Linear(5, 9));
  initialize(a, 1), initialize(b, 1);
  EXPECT_TRUE(same_bits(snapshot(a).at("0.weight"), snapshot(b).at("0.weight")));
  EXPECT_TRUE(same_bits(snapshot(a).at("0.bias"), snapshot(b).at("0.bias")));
  EXPECT_FALSE(same_bits(snapshot(a).at("0.bias"), snapshot(a).at("1.bias")));
  TensorMap before = snapshot(a);
  initialize_head(dynamic_cast<Linear&>(a[2]), 9);
  EXPECT_EQ(changed(before, snapshot(a)), (std::vector<std::string>{"2.bias", "2.weight"}));
}

double deviation(const Tensor& t) {
  double squares = 0;
  for (int64_t i = 0; i < t.size(); ++i) squares += double(t.data()[i]) * t.data()[i];
  return std::sqrt(squares / double(t.size()));
}

TEST(Init, SpreadIsAsPublished) {
  Conv2d conv(32, 64, {.kernel = 3}), grouped(64, 64, {.kernel = 3, .groups = 4});
  initialize(conv, 1), initialize(grouped, 1);
  EXPECT_NEAR(deviation(conv.weight), std::sqrt(2.0 / (64 * 9)), 1e-3);
  EXPECT_NEAR(deviation(grouped.weight), std::sqrt(2.0 / (16 * 9)), 2e-3);
  EXPECT_EQ(deviation(conv.bias), 0);
  Linear matrix(100, 200);
  initialize(matrix, 1);
  EXPECT_NEAR(deviation(matrix.weight), 0.1 / std::sqrt(3.0), 1e-3);
  EXPECT_LE(*std::max_element(matrix.bias.data(), matrix.bias.data() + 200), 0.1f);
  BatchNorm2d norm(4);
  randomise(norm, 1);
  initialize(norm, 1);
  EXPECT_TRUE(same_bits(norm.weight, Tensor::full({4}, 1)));
  EXPECT_TRUE(same_bits(norm.bias, Tensor::zeros({4})));
}

TEST(Init, HeadsOfBothKinds) {
  Conv2d conv(64, 10, {.kernel = 1});
  Linear matrix(64, 10);
  initialize_head(conv, 1), initialize_head(matrix, 1);
  for (const Tensor& t :
       {Tensor(conv.weight), Tensor(conv.bias), Tensor(matrix.weight), Tensor(matrix.bias)})
    for (int64_t i = 0; i < t.size(); ++i) ASSERT_LE(std::abs(t.data()[i]), 1 / 8.0f);
  EXPECT_NEAR(deviation(conv.weight), 0.125 / std::sqrt(3.0), 5e-3);
}

TEST(Init, AMatrixAloneBeginsAtZeroBehindATrunk) {
  Linear matrix(8, 3);
  Conv2d filter(8, 3, {});
  Sequential two;
  two.add("0", Linear(8, 4)).add("1", Linear(4, 3));
  for (Module* head : {static_cast<Module*>(&matrix), static_cast<Module*>(&filter), static_cast<Module*>(&two)})
    initialize_new_head(*head, 3);
  EXPECT_TRUE(same_bits(matrix.weight, Tensor::zeros({3, 8})));
  EXPECT_TRUE(same_bits(matrix.bias, Tensor::zeros({3})));
  // These would not learn from zero: a ReLU follows the filter, and a matrix of zeros the other.
  Conv2d as_filter(8, 3, {});
  initialize_head(as_filter, 3);
  EXPECT_TRUE(same_bits(filter.weight, as_filter.weight));
  for (size_t i : {0, 1})
    EXPECT_FALSE(same_bits(dynamic_cast<Linear&>(two[i]).weight,
                           Tensor::zeros(dynamic_cast<Linear&>(two[i]).weight.shape())));
}

}  // namespace
}  // namespace graft
