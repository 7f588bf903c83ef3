#include "layers/schedule.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using Kind = Schedule::Kind;

TEST(Schedule, Constant) {
  Schedule s{.base = 0.1, .total_steps = 10};
  for (int64_t step : {0, 5, 9, 1000}) EXPECT_EQ(s.rate(step), 0.1);
}

TEST(Schedule, StepFallsByTheFactor) {
  Schedule s{
      .kind = Kind::step, .base = 0.1, .total_steps = 9, .step_every = 3, .step_factor = 0.5};
  EXPECT_DOUBLE_EQ(s.rate(0), 0.1);
  EXPECT_DOUBLE_EQ(s.rate(2), 0.1);
  EXPECT_DOUBLE_EQ(s.rate(3), 0.05);
  EXPECT_DOUBLE_EQ(s.rate(8), 0.025);
}

TEST(Schedule, CosineGoesFromBaseToZero) {
  Schedule s{.kind = Kind::cosine, .base = 0.2, .total_steps = 100};
  EXPECT_DOUBLE_EQ(s.rate(0), 0.2);
  EXPECT_DOUBLE_EQ(s.rate(50), 0.1);
  EXPECT_NEAR(s.rate(99), 0, 1e-4);
  EXPECT_EQ(s.rate(100), 0);
  EXPECT_EQ(s.rate(150), 0);
  for (int64_t i = 1; i < 100; ++i) EXPECT_LT(s.rate(i), s.rate(i - 1));
}

TEST(Schedule, OneCycleRisesThenFalls) {
  Schedule s{.kind = Kind::one_cycle, .base = 0.1, .total_steps = 101};
  EXPECT_DOUBLE_EQ(s.rate(0), 0.1 / 25);
  EXPECT_DOUBLE_EQ(s.rate(30), 0.1);
  EXPECT_NEAR(s.rate(15), (0.1 + 0.1 / 25) / 2, 1e-12);
  EXPECT_NEAR(s.rate(65), (0.1 + 0.1 / 250000) / 2, 1e-12);
  EXPECT_DOUBLE_EQ(s.rate(100), 0.1 / 250000);
  EXPECT_DOUBLE_EQ(s.rate(500), 0.1 / 250000);
}

TEST(Schedule, WarmUpIsLinearAndThenTheKindBegins) {
  for (Kind kind : {Kind::constant, Kind::step, Kind::cosine}) {
    Schedule s{.kind = kind, .base = 0.1, .total_steps = 24, .warmup_steps = 4, .step_every = 5};
    for (int step = 0; step < 4; ++step) EXPECT_DOUBLE_EQ(s.rate(step), 0.1 * (step + 1) / 5);
    EXPECT_DOUBLE_EQ(s.rate(4), 0.1);
  }
  Schedule cosine{.kind = Kind::cosine, .base = 0.1, .total_steps = 24, .warmup_steps = 4};
  EXPECT_DOUBLE_EQ(cosine.rate(14), 0.05);
  EXPECT_EQ(cosine.rate(24), 0);
}

TEST(Schedule, IsAPureFunctionOfTheStep) {
  Schedule s{.kind = Kind::one_cycle, .base = 0.1, .total_steps = 20};
  double late = s.rate(17);
  for (int64_t step = 19; step >= 0; --step) s.rate(step);
  EXPECT_EQ(s.rate(17), late);
}

TEST(Schedule, OneStepOnlyIsFinite) {
  for (Kind kind : {Kind::constant, Kind::step, Kind::cosine, Kind::one_cycle}) {
    Schedule s{.kind = kind, .base = 0.1, .total_steps = 1, .step_every = 0};
    EXPECT_GT(s.rate(0), 0);
    EXPECT_LE(s.rate(0), 0.1);
  }
}

TEST(Schedule, NamesOfTheKinds) {
  EXPECT_EQ(schedule_kind("constant"), Kind::constant);
  EXPECT_EQ(schedule_kind("step"), Kind::step);
  EXPECT_EQ(schedule_kind("cosine"), Kind::cosine);
  EXPECT_EQ(schedule_kind("one-cycle"), Kind::one_cycle);
  std::string message = tests::error_of([] { schedule_kind("cosin"); }, Fault::usage);
  EXPECT_NE(message.find("one-cycle"), message.npos);
}

}  // namespace
}  // namespace graft
