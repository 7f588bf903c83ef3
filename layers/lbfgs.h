// The minimum of a smooth function of many variables by L-BFGS (Nocedal and Wright, Numerical
// Optimization, 2nd edition, algorithms 7.4 and 7.5): steps from the last few changes of the
// gradient, each with a line search. For objectives over the whole of the data: a head on features
// that were computed once.
#pragma once
#include <functional>
#include <span>
#include <vector>

namespace graft {

struct LbfgsOptions {
  int memory = 10;           // changes kept
  int max_iterations = 1000;
  double tolerance = 1e-5;   // of the largest element of the gradient
  double noise = 1e-7;       // of the value, relative: smaller differences mean nothing
  double flat = 1e-2;        // largest element of the gradient at which that noise may end it
};

struct LbfgsResult {
  enum class End { gradient, precision, stuck, iterations, stopped };
  End end;  // precision: the value falls no more beyond its noise; stuck: nor where it is steep
  bool solved() const { return end == End::gradient || end == End::precision; }
  int iterations = 0;
  double value = 0, gradient = 0;  // at the end; the largest element of the gradient
  // Solved where noise ended it, far from what was asked for: by more than ten times the tolerance.
  bool rough(const LbfgsOptions& asked) const { return solved() && gradient > 10 * asked.tolerance; }
};

// f(x, g) -> value, and writes the gradient to g. x: where to start, afterwards the minimum.
// Throws Fault::internal where f is not finite at the start. `stop` is asked after each iteration.
using Objective = std::function<double(std::span<const double> x, std::span<double> g)>;
LbfgsResult minimize(std::vector<double>& x, const Objective& f, const LbfgsOptions& options = {},
                     const std::function<bool()>& stop = {});

}  // namespace graft
