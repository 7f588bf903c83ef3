// graft train --find-lr: a learning rate from one short sweep (range test; Smith, WACV 2017). The
// rate grows by the same factor at every step until the loss is four times its lowest; the
// suggestion is the rate at which the smoothed loss falls fastest.
#pragma once
#include <vector>

#include "apps/train_run.h"

namespace graft::app {

struct RateTrial {
  double rate, loss, smoothed;
};

// Of a sweep whose loss has risen in the end. 0 where the loss never falls.
double suggested_rate(const std::vector<RateTrial>& trials);

// Sweeps, prints and leaves the run as if it had not begun; -> exit code.
int find_rate(TrainRun& s);

}  // namespace graft::app
