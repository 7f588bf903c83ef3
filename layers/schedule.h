// Learning-rate schedules: pure functions of the step, so that resuming needs nothing but the step.
#pragma once
#include <cstdint>
#include <string>

namespace graft {

struct Schedule {
  enum class Kind { constant, step, cosine, one_cycle };
  Kind kind = Kind::constant;
  double base = 1e-3;        // learning rate at its highest
  int64_t total_steps = 1;
  int64_t warmup_steps = 0;  // linear from base / (warmup_steps + 1) up to base
  int64_t step_every = 1;    // step: rate x step_factor after each so many steps
  double step_factor = 0.1;

  // Learning rate of update `step`, from 0. one_cycle (Smith & Topin 2018): cosine from base / 25
  // up to base over the first 30 %, then cosine down to base / 250000.
  double rate(int64_t step) const;
};

Schedule::Kind schedule_kind(const std::string& name);  // "constant", "step", "cosine", "one-cycle"

}  // namespace graft
