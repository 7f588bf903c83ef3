// Attention on CUDA against the formulas in double: around the tiles' sizes, with and without bias
// and mask; exactly where every query chooses one key.
#include "kernels/attention.h"

#include <string>

#include "tests/cuda_attention_reference.h"
#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

template <class T>
struct CudaAttention : testing::Test {};
TYPED_TEST_SUITE(CudaAttention, Floats);

using Shape = AttentionShape;

// Inputs, and what is expected of them.
template <class T>
struct Example {
  Shape s;
  float scale;
  std::vector<T> qkv, dy;
  std::vector<float> bias, mask;
  AttentionWant want;

  void expect() {
    want = attention_reference(s, double(scale), doubles(qkv), doubles(dy), doubles(bias),
                               doubles(mask));
  }

  void run(size_t offset, double tolerance, double gradient_tolerance) const {
    Array<T> x(qkv, offset), dout(dy, offset), y(s.y_size(), offset);
    Array<T> dqkv(s.qkv_size(), offset), dqkv_alone(s.qkv_size(), offset);
    Array<float> device_bias(bias), device_mask(mask);
    Array<float> dbias(s.squares(s.heads)), dbias_alone(s.squares(s.heads));
    AttentionProblem p{s.images, s.tokens, s.heads, s.width, scale};
    if (!bias.empty()) p.bias = device_bias.data();
    if (!mask.empty()) p.mask = device_mask.data(), p.masks = s.masks;
    attention(p, x.data(), y.data(), {});
    expect_values(y, want.y, tolerance);
    attention_backward<T>(p, x.data(), dout.data(), {dqkv.data(), dbias.data()}, {});
    expect_values(dqkv, want.dqkv, gradient_tolerance);
    expect_values(dbias, want.dbias, gradient_tolerance);
    if (s.tokens > 40 || s.images > 3 || offset) return;
    attention_backward<T>(p, x.data(), dout.data(), {dqkv_alone.data(), nullptr}, {});
    expect_values(dqkv_alone, doubles(dqkv.host()));
    attention_backward<T>(p, x.data(), dout.data(), {nullptr, dbias_alone.data()}, {});
    expect_values(dbias_alone, doubles(dbias.host()));
  }
};

// images, tokens, heads, channels, masks; tiles are 64 and 32 tokens, 32, 64 and 128 channels
const Shape kShapes[] = {{1, 1, 1, 1, 1},   {3, 2, 2, 8, 1},    {2, 31, 1, 32, 2},
                         {1, 32, 2, 16, 1}, {1, 33, 1, 33, 1},  {1, 63, 1, 24, 1},
                         {1, 64, 1, 64, 1}, {1, 65, 1, 7, 1},   {1, 131, 1, 40, 1},
                         {1, 9, 1, 65, 1},  {1, 20, 1, 128, 1}, {10, 5, 2, 32, 5}};

TYPED_TEST(CudaAttention, ForwardAndGradients) {
  using T = TypeParam;
  std::vector<Example<T>> examples;
  for (const Shape& s : kShapes)
    for (bool added : {false, true}) {
      if (!added && s.tokens > 40) continue;
      Example<T> e{s, 1.0f / std::sqrt(float(s.width))};
      e.qkv = reals<T>(s.qkv_size(), 1, -2, 2), e.dy = reals<T>(s.y_size(), 2, -1, 1);
      if (added) e.bias = reals<float>(s.squares(s.heads), 3, -1, 1);
      if (added) e.mask = reals<float>(s.squares(s.masks), 4, -90, 1);
      e.expect();
      examples.push_back(std::move(e));
    }
  on_device([&] {
    for (const Example<T>& e : examples)
      for (size_t offset : {0, 1}) {
        if (offset && (e.s.tokens > 40 || e.bias.empty())) continue;
        SCOPED_TRACE(e.s.text() + (e.bias.empty() ? "" : ", bias and mask") + " from " +
                     std::to_string(offset));
        e.run(offset, 4e-6 + 2 * rounding<T>, 2e-5 + 6 * rounding<T>);
      }
  });
}

// Bias or mask leave each query one key: its share is 1, its value the result, exactly.
TYPED_TEST(CudaAttention, OneKeyEachIsExact) {
  using T = TypeParam;
  std::vector<Example<T>> examples;
  for (const Shape& s : {Shape{2, 7, 2, 8, 2}, {1, 65, 1, 40, 1}, {3, 33, 1, 9, 3}})
    for (bool by_mask : {false, true}) {
      Example<T> e{s, 0.5f, integers<T>(s.qkv_size(), 5, 3), integers<T>(s.y_size(), 6, 3)};
      const int64_t count = by_mask ? s.masks : s.heads;
      auto& added = by_mask ? e.mask : e.bias;
      added.assign(s.squares(count), -1000.0f);
      for (int64_t k = 0; k < count; ++k)
        for (int64_t i = 0; i < s.tokens; ++i)
          added[size_t((k * s.tokens + i) * s.tokens + (i * 3 + k + 1) % s.tokens)] = 0;
      e.expect();
      for (double& v : e.want.dqkv) v = std::round(v);  // e^-900 and the like
      for (double& v : e.want.dbias) v = std::round(v);
      for (double& v : e.want.y) v = std::round(v);
      examples.push_back(std::move(e));
    }
  on_device([&] {
    for (const Example<T>& e : examples) {
      SCOPED_TRACE(e.s.text() + (e.mask.empty() ? ", bias" : ", mask"));
      e.run(0, 0, 0);
    }
  });
}

// Whole tiles masked with minus infinity, the first ones too.
TEST(CudaAttentionMask, MinusInfinity) {
  const Shape s{1, 70, 1, 8, 1};
  Example<float> e{s, 0.5f, reals<float>(s.qkv_size(), 7, -2, 2),
                   reals<float>(s.y_size(), 8, -1, 1)};
  e.mask.assign(s.squares(1), 0.0f);
  for (size_t i = 0; i < 70; ++i)
    for (size_t j = 0; j < 70; ++j)
      if (i % 2 ? j < 40 : j > i) e.mask[i * 70 + j] = -std::numeric_limits<float>::infinity();
  e.expect();
  on_device([&] { e.run(0, 4e-6, 2e-5); });
}

TEST(CudaAttentionOrder, SumsHaveTheSameBitsInEveryOrder) {
  const Shape s{23, 9, 2, 8, 1};
  const auto x = reals<bf16>(s.qkv_size(), 9, -2, 2), dy = reals<bf16>(s.y_size(), 10, -1, 1);
  std::vector<float> first;
  on_device([&] {
    Array<bf16> in(x), dout(dy);
    Array<float> dbias(s.squares(s.heads));
    attention_backward<bf16>({s.images, s.tokens, s.heads, s.width, 1}, in.data(), dout.data(),
                             {nullptr, dbias.data()}, {});
    if (first.empty()) first = dbias.host();
    EXPECT_EQ(dbias.host(), first);
  });
}

TEST(CudaAttentionLimits, NoImagesAndWideHeads) {
  on_device([] {
    Array<float> dbias(8), x(1), y(1);
    attention_backward<float>({0, 2, 2, 4, 1}, x.data(), y.data(), {nullptr, dbias.data()}, {});
    expect_values(dbias, std::vector<double>(8, 0.0));
    attention<float>({0, 2, 2, 4, 1}, x.data(), y.data(), {});
    EXPECT_THROW(attention<float>({1, 1, 1, 129, 1}, x.data(), y.data(), {}),
                 std::invalid_argument);
  });
}

}  // namespace
}  // namespace graft::cuda
