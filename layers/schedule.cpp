#include "layers/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/check.h"

namespace graft {
namespace {

// From a to b on half a cosine wave, t in [0, 1].
double cosine(double a, double b, double t) {
  return b + (a - b) * 0.5 * (1 + std::cos(std::numbers::pi * std::clamp(t, 0.0, 1.0)));
}

double one_cycle(double base, double t) {
  constexpr double kRise = 0.3;
  return t < kRise ? cosine(base / 25, base, t / kRise)
                   : cosine(base, base / 250000, (t - kRise) / (1 - kRise));
}

}  // namespace

double Schedule::rate(int64_t step) const {
  if (kind != Kind::one_cycle && step < warmup_steps)
    return base * double(step + 1) / double(warmup_steps + 1);
  int64_t after = kind == Kind::one_cycle ? step : step - warmup_steps;
  int64_t length = kind == Kind::one_cycle ? total_steps - 1 : total_steps - warmup_steps;
  double t = double(after) / double(std::max<int64_t>(length, 1));
  switch (kind) {
    case Kind::constant: return base;
    case Kind::step: return base * std::pow(step_factor, double(after / std::max<int64_t>(step_every, 1)));
    case Kind::cosine: return cosine(base, 0, t);
    case Kind::one_cycle: return one_cycle(base, t);
  }
  return base;
}

Schedule::Kind schedule_kind(const std::string& name) {
  if (name == "constant") return Schedule::Kind::constant;
  if (name == "step") return Schedule::Kind::step;
  if (name == "cosine") return Schedule::Kind::cosine;
  if (name == "one-cycle") return Schedule::Kind::one_cycle;
  fail(Fault::usage, "schedule '{}' is unknown; use constant, step, cosine or one-cycle", name);
}

}  // namespace graft
