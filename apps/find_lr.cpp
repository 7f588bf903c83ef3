#include "apps/find_lr.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/check.h"

namespace graft::app {
namespace {

constexpr int kSteps = 100;
constexpr double kLowest = 1e-7, kHighest = 10, kSmoothing = 0.9, kExploded = 4;

double rate_of(int step) {
  return kLowest * std::pow(kHighest / kLowest, double(step) / (kSteps - 1));
}

// Beginning the data anew at its end.
void some_batch(TrainRun& s, TrainingStep& step, int64_t& epoch, Batch& batch) {
  auto next = [&] { return next_batch(*s.training, batch, step, *s.model, *s.optimizer, s.settings); };
  if (next()) return;
  s.training->start(uint64_t(++epoch));
  GRAFT_CHECK(next(), "--find-lr: no image of the training set could be used");
}

// -> false where the loss has exploded.
bool try_rate(TrainRun& s, TrainingStep& step, const Batch& batch, double rate,
              std::vector<RateTrial>& trials) {
  s.settings.schedule = {.base = rate};
  double loss = 0;
  try {
    loss = train_step(step, *s.model, *s.optimizer, batch, s.settings, s.progress);
  } catch (const Error& e) {
    if (e.fault != Fault::internal || trials.empty()) throw;
    return false;  // no longer finite
  }
  const double before = trials.empty() ? loss : trials.back().smoothed;
  trials.push_back({rate, loss, kSmoothing * before + (1 - kSmoothing) * loss});
  double lowest = trials[0].smoothed;
  for (const RateTrial& t : trials) lowest = std::min(lowest, t.smoothed);
  return trials.back().smoothed <= kExploded * lowest;
}

void show(const std::vector<RateTrial>& trials, double suggestion, bool json) {
  if (json) {
    Json rows = Json::array();
    for (const RateTrial& t : trials)
      rows.push_back({{"lr", t.rate}, {"loss", t.loss}, {"smoothed", t.smoothed}});
    return print(
        Json{{"suggestion", suggestion > 0 ? Json(suggestion) : Json()}, {"trials", rows}});
  }
  print(std::string("        lr      loss  smoothed"));
  for (size_t i = 0; i < trials.size(); i += 4)
    print(fmt::format("{:10.2e} {:9.4f} {:9.4f}", trials[i].rate, trials[i].loss,
                      trials[i].smoothed));
  print(suggestion > 0 ? fmt::format("suggestion: --lr {:.2g}", suggestion)
                       : "no suggestion: the loss never fell");
}

}  // namespace

double suggested_rate(const std::vector<RateTrial>& trials) {
  double steepest = 0, rate = 0;
  for (size_t i = 1; i + 1 < trials.size(); ++i) {  // the grid is even in log rate
    double slope = trials[i + 1].smoothed - trials[i - 1].smoothed;
    if (slope < steepest) steepest = slope, rate = trials[i].rate;
  }
  return rate;
}

int find_rate(TrainRun& s) {
  std::vector<RateTrial> trials;
  int64_t epoch = 0;
  s.model->train();
  s.training->start(0);
  Batch batch;
  TrainingStep step = step_of(*s.model, *s.optimizer, s.settings);
  for (int i = 0; i < kSteps; ++i, ++s.progress.step) {
    some_batch(s, step, epoch, batch);
    if (!try_rate(s, step, batch, rate_of(i), trials)) break;
  }
  show(trials, suggested_rate(trials), s.options.common.json);
  return 0;
}

}  // namespace graft::app
