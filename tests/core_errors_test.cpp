// Wrong shapes and arguments are refused with the operation's name and both shapes.
#include <gtest/gtest.h>

#include "core/ops.h"

namespace graft {
namespace {

template <class Call>
std::string message_of(Call call) {
  try {
    call();
  } catch (const Error& e) {
    EXPECT_EQ(e.fault, Fault::data);
    return e.what();
  }
  return "no error";
}

#define EXPECT_MESSAGE(call, ...)        \
  for (std::string part : {__VA_ARGS__}) \
  EXPECT_NE(message_of([&] { call; }).find(part), std::string::npos) << message_of([&] { call; })

const Tensor image = Tensor::zeros({2, 4, 4, 3}), row = Tensor::zeros({3});

TEST(Errors, ShapesThatDoNotFit) {
  EXPECT_MESSAGE(add(image, Tensor::zeros({4})), "add", "[2, 4, 4, 3]", "[4]");
  EXPECT_MESSAGE(mul(row, image), "mul", "[3]", "[2, 4, 4, 3]");
  EXPECT_MESSAGE(matmul(Tensor::zeros({2, 3}), Tensor::zeros({2, 3})), "matmul", "[2, 3]");
  EXPECT_MESSAGE(linear(Tensor::zeros({2, 3}), Tensor::zeros({5, 4}), {}), "linear", "[5, 4]");
  EXPECT_MESSAGE(linear(Tensor::zeros({2, 3}), Tensor::zeros({5, 3}), row), "linear", "bias [3]");
  EXPECT_MESSAGE(conv2d(image, Tensor::zeros({5, 3, 3, 4}), {}, {}), "conv2d", "[5, 3, 3, 4]");
  EXPECT_MESSAGE(conv2d(image, Tensor::zeros({5, 5, 5, 3}), {}, {}), "conv2d", "fit");
  EXPECT_MESSAGE(concat({image, Tensor::zeros({2, 4, 5, 3})}), "concat", "[2, 4, 5, 3]");
  EXPECT_MESSAGE(concat({}), "concat");
  EXPECT_MESSAGE(pad(row, {1, 1, 1, 1}, 0), "pad", "[3]");
  EXPECT_MESSAGE(pad(image, {-1, 0, 0, 0}, 0), "pad", "-1");
}

TEST(Errors, Tokens) {
  Tensor qkv = Tensor::zeros({3, 4, 6}), mask = Tensor::zeros({2, 4, 4});
  EXPECT_MESSAGE(attention(qkv, {4}), "attention", "[3, 4, 6]", "4 heads");
  EXPECT_MESSAGE(attention(qkv, {2}, Tensor::zeros({1, 4, 4})), "attention", "bias [1, 4, 4]");
  EXPECT_MESSAGE(attention(qkv, {2}, {}, mask), "attention", "2 masks for 3 images");
  EXPECT_MESSAGE(attention(qkv, {2}, {}, Tensor::zeros({1, 3, 4})), "attention", "mask [1, 3, 4]");
  EXPECT_MESSAGE(cosine_heads(qkv, Tensor::zeros({4})), "cosine_heads", "[3, 4, 6]", "4 heads");
  EXPECT_MESSAGE(to_windows(row, {}), "to_windows", "[3]");
  EXPECT_MESSAGE(to_windows(image, {{2, 2}, {0, 2}}), "to_windows", "shifted");
  EXPECT_MESSAGE(from_windows(qkv, {{2, 2}}, image.shape()), "from_windows", "[8, 4, 3]");
  EXPECT_MESSAGE(merge_patches(row), "merge_patches", "[3]");
  for (int64_t outside : {-1, 2}) {
    Tensor index = Tensor::from<int64_t>({1}, std::vector<int64_t>{outside});
    EXPECT_MESSAGE(lookup(Tensor::zeros({2, 3}), index), "lookup", "2 rows");
  }
}

TEST(Errors, Normalisation) {
  Tensor four = Tensor::zeros({4});
  EXPECT_MESSAGE(batch_norm_frozen(image, four, {}, row, row, 1e-5f), "batch_norm_frozen", "[4]");
  EXPECT_MESSAGE(batch_norm_train(image, row, row, row, row, 0.1f, 1e-5f, Activation::none, row),
                 "batch_norm_train", "residual [3]");
  EXPECT_MESSAGE(batch_norm_train(Tensor::zeros({1, 3}), row, row, row, row, 0.1f, 1e-5f),
                 "batch_norm_train", "[1, 3]", "1 values per channel");
}

TEST(Errors, Pooling) {
  EXPECT_MESSAGE(max_pool2d(row, {}), "max_pool2d", "[3]");
  EXPECT_MESSAGE(max_pool2d(image, {.window = {5, 5}}), "max_pool2d", "[5, 5]", "[2, 4, 4, 3]");
  EXPECT_MESSAGE(avg_pool2d(image, {.window = {2, 2}, .stride = {0, 2}}), "avg_pool2d", "stride");
  EXPECT_MESSAGE(avg_pool2d(image, {.window = {2, 2}, .padding = {2, 0, 0, 0}}), "padding");
  EXPECT_MESSAGE(adaptive_avg_pool2d(image, 0, 2), "adaptive_avg_pool2d");
}

TEST(Errors, Losses) {
  Tensor logits = Tensor::zeros({2, 3});
  std::vector<int32_t> labels{0, 3};
  Tensor wrong = Tensor::from<int32_t>({2}, labels);
  EXPECT_MESSAGE(cross_entropy(logits, wrong), "cross_entropy", "label 3", "row 1", "[0, 3)");
  labels[1] = -1;
  EXPECT_MESSAGE(cross_entropy(logits, Tensor::from<int32_t>({2}, labels)), "label -1", "row 1");
  EXPECT_MESSAGE(cross_entropy(logits, Tensor::zeros({2})), "type f32, read as i32");
  EXPECT_MESSAGE(cross_entropy(logits, Tensor::zeros({3}, DType::i32)), "cross_entropy", "[3]");
  labels[1] = 2;
  EXPECT_MESSAGE(
      cross_entropy(logits, Tensor::from<int32_t>({2}, labels),
                    {.class_weights = Tensor::zeros({2})}),
      "class weights [2] for 3");
  EXPECT_MESSAGE(mean(Tensor::zeros({0, 3})), "mean", "[0, 3]");
  EXPECT_MESSAGE(dropout(row, 1.5f, 1, random_step(0)), "dropout", "1.5");
  EXPECT_MESSAGE(normalize(image, 1, {0, 0, 0}, {1, 1, 1}), "type f32, read as u8");
}

}  // namespace
}  // namespace graft
