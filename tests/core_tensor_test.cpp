#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/ops.h"
#include "core/tensor.h"

namespace graft {
namespace {

TEST(Tensor, CopiesShareAndClonesDoNot) {
  Tensor a = Tensor::from({3}, {1, 2, 3}), b = a, c = a.clone();
  a.mutable_data()[0] = 9;
  EXPECT_EQ(b.data()[0], 9);
  EXPECT_EQ(c.data()[0], 1);
}

TEST(Tensor, Shapes) {
  Tensor t({2, 3, 4});
  EXPECT_EQ(t.size(), 24);
  EXPECT_EQ(t.rank(), 3);
  EXPECT_EQ(t.dim(-1), 4);
  EXPECT_EQ(t.bytes(), 96u);
  EXPECT_EQ(Tensor(Shape{}).size(), 1);
  EXPECT_EQ(Tensor(Shape{0, 5}).size(), 0);
  EXPECT_THROW(t.dim(3), Error);
  EXPECT_THROW(t.dim(-4), Error);
  EXPECT_THROW(Tensor({2, -1}), Error);
  EXPECT_THROW(Tensor({int64_t(1) << 40, int64_t(1) << 40}), Error);
}

TEST(Tensor, Views) {
  Tensor t = Tensor::from({3, 2}, {0, 1, 2, 3, 4, 5});
  Tensor middle = t.rows(1, 2);
  EXPECT_EQ(middle.shape(), (Shape{1, 2}));
  EXPECT_EQ(middle.data()[0], 2);
  middle.mutable_data()[1] = 7;
  EXPECT_EQ(t.data()[3], 7);
  EXPECT_EQ(t.rows(1, 1).size(), 0);
  EXPECT_EQ(t.reshape({-1}).data()[3], 7);
  EXPECT_EQ(t.reshape({2, -1}).shape(), (Shape{2, 3}));
  EXPECT_THROW(t.rows(2, 4), Error);
  EXPECT_THROW(t.reshape({4, -1}), Error);
  EXPECT_THROW(t.reshape({7}), Error);
}

TEST(Tensor, ViewsOfAnArena) {
  Tensor arena = Tensor::zeros({10});
  Tensor part = view_of(arena, 4, {2, 3});
  part.mutable_data()[0] = 5;
  EXPECT_EQ(arena.data()[4], 5);
  EXPECT_THROW(view_of(arena, 5, {2, 3}), Error);
  EXPECT_THROW(view_of(arena, -1, {2}), Error);
}

TEST(Tensor, AViewKeepsItsStorage) {
  Tensor view;
  {
    Tensor t = Tensor::from({2, 2}, {1, 2, 3, 4});
    view = t.rows(1, 2);
  }
  EXPECT_EQ(view.data()[1], 4);
}

TEST(Tensor, VersionGrowsWithWrites) {
  Tensor t = Tensor::zeros({2});
  uint64_t before = t.version();
  t.data();
  EXPECT_EQ(t.version(), before);
  t.mutable_data();
  EXPECT_GT(t.version(), before);
  before = t.version();
  t.copy_from(Tensor::zeros({2}));
  EXPECT_GT(t.version(), before);
}

TEST(Tensor, ValuesThatCouldNotBeMadeAreAskedForAgain) {
  int calls = 0;
  Tensor t = Tensor::made_by({2}, DType::f32, [&](void* values) {
    if (++calls == 1) throw std::runtime_error("not now");
    std::fill_n(static_cast<float*>(values), 2, 3.0f);
  });
  EXPECT_THROW(t.data(), std::runtime_error);
  EXPECT_EQ(t.data()[1], 3);
  t.put_away();
  EXPECT_EQ(t.data()[1], 3);
  EXPECT_EQ(calls, 3);
  t.mutable_data()[1] = 4;  // no longer what would be made: it stays
  t.put_away();
  EXPECT_EQ(t.data()[1], 4);
  EXPECT_EQ(calls, 3);
}

TEST(Tensor, TypesAreChecked) {
  Tensor t({2}, DType::u8);
  EXPECT_THROW(t.data<float>(), Error);
  EXPECT_THROW(t.mutable_data<int32_t>(), Error);
  EXPECT_THROW(t.requires_grad(true), Error);
  EXPECT_THROW(Tensor().shape(), Error);
  EXPECT_THROW(Tensor({2}).item(), Error);
  EXPECT_THROW(Tensor({2}).copy_from(Tensor({3})), Error);
  EXPECT_THROW(Tensor({2}).copy_from(t), Error);
  EXPECT_THROW(Tensor::from<float>({3}, std::vector<float>{1, 2}), Error);
}

TEST(Tensor, Conversions) {
  Tensor t = Tensor::from({4}, {0, 1, -2, 100});
  for (DType type : {DType::bf16, DType::f16, DType::i32, DType::i64}) {
    Tensor back = t.to(type).to(DType::f32);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(back.data()[i], t.data()[i]) << name_of(type);
  }
  EXPECT_EQ(t.to(DType::f32).raw(), t.raw());
  EXPECT_EQ(t.to(DType::i64).data<int64_t>()[2], -2);
  EXPECT_EQ(Tensor::full({}, 2.5f).to(DType::bf16).item(), 2.5f);
}

TEST(DType, Bf16RoundsToNearestEven) {
  EXPECT_EQ(bf16(1.0f).bits, 0x3f80);
  EXPECT_EQ(bf16(1.0f + 0x1p-8f).bits, 0x3f80);             // a tie goes to even: down
  EXPECT_EQ(bf16(1.0f + 3 * 0x1p-8f).bits, 0x3f82);         // and up
  EXPECT_EQ(bf16(1.0f + 0x1p-8f + 0x1p-20f).bits, 0x3f81);  // just above a tie
  EXPECT_EQ(float(bf16(-2.5f)), -2.5f);
  EXPECT_EQ(bf16(std::numeric_limits<float>::max()).bits, 0x7f80);  // rounds to infinity
  EXPECT_TRUE(std::isnan(float(bf16(std::nanf("")))));
  EXPECT_TRUE(std::isnan(float(bf16(std::bit_cast<float>(0x7f800001u)))));  // stays NaN when cut
  EXPECT_TRUE(std::isinf(float(bf16(-std::numeric_limits<float>::infinity()))));
}

TEST(DType, F16RoundsAndSaturatesToInfinity) {
  EXPECT_EQ(f16(1.0f).bits, 0x3c00);
  EXPECT_EQ(f16(1.0f + 0x1p-11f).bits, 0x3c00);  // a tie, to even
  EXPECT_EQ(f16(1.0f + 3 * 0x1p-11f).bits, 0x3c02);
  EXPECT_EQ(f16(65504.0f).bits, 0x7bff);
  EXPECT_EQ(f16(65520.0f).bits, 0x7c00);
  EXPECT_EQ(f16(0x1p-24f).bits, 1);  // smallest subnormal
  EXPECT_EQ(f16(0x1p-26f).bits, 0);
  EXPECT_TRUE(std::isnan(float(f16(std::nanf("")))));
}

TEST(Tensor, NormalizeIsNumpysArithmetic) {
  Tensor pixels({1, 1, 2, 3}, DType::u8);
  uint8_t values[] = {0, 128, 255, 1, 77, 200};
  std::copy(values, values + 6, pixels.mutable_data<uint8_t>());
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f}, std{0.229f, 0.224f, 0.225f};
  Tensor y = normalize(pixels, 1.0f / 255, mean, std),
         swapped = normalize(pixels, 1, mean, std, true);
  for (int i = 0; i < 6; ++i) {
    size_t c = size_t(i % 3);
    volatile float x = float(values[i]) / 255.0f, centred = x - mean[c];
    EXPECT_EQ(y.data()[i], centred / std[c]);
    volatile float raw = float(values[i / 3 * 3 + 2 - i % 3]) - mean[c];
    EXPECT_EQ(swapped.data()[i], raw / std[c]);
  }
}

}  // namespace
}  // namespace graft
