#include "layers/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <optional>

#include "core/check.h"

namespace graft {
namespace {

using Vector = std::vector<double>;
using End = LbfgsResult::End;

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

void add(Vector& y, double factor, const Vector& x) {
  for (size_t i = 0; i < y.size(); ++i) y[i] += factor * x[i];
}

double largest(const Vector& v) {
  double most = 0;
  for (double value : v) most = std::max(most, std::abs(value));
  return most;
}

struct Point {
  Vector x, g;
  double value = 0;
};

struct Change {  // from one point to the next
  Vector s, y;   // of x and of the gradient
  double sy;
};

Point at(const Objective& f, Vector x) {
  Point p{std::move(x), {}, 0};
  p.g.resize(p.x.size());
  p.value = f(p.x, p.g);
  return p;
}

// -H g, H the inverse Hessian that the changes tell of (two-loop recursion).
Vector direction(const Vector& g, const std::deque<Change>& changes) {
  Vector d = g, alpha(changes.size());
  for (size_t i = changes.size(); i-- > 0;) {
    alpha[i] = dot(changes[i].s, d) / changes[i].sy;
    add(d, -alpha[i], changes[i].y);
  }
  double curvature = changes.empty() ? std::max(1.0, std::sqrt(dot(g, g)))
                                     : dot(changes.back().y, changes.back().y) / changes.back().sy;
  for (double& value : d) value /= curvature;
  for (size_t i = 0; i < changes.size(); ++i)
    add(d, alpha[i] - dot(changes[i].y, d) / changes[i].sy, changes[i].s);
  for (double& value : d) value = -value;
  return d;
}

constexpr double kDecrease = 1e-4, kCurvature = 0.9;  // of Wolfe's two conditions
constexpr int kTrials = 40;

// A step along d after which the value is lower by kDecrease of what the slope promises, or within
// its noise, and the slope is small: the bracket is halved, or doubled while it is open.
std::optional<Point> line_search(const Objective& f, const Point& from, const Vector& d,
                                 double noise) {
  double slope = dot(from.g, d), low = 0, high = INFINITY, step = 1;
  double slack = noise * std::abs(from.value);
  for (int trial = 0; trial < kTrials; ++trial) {
    Vector x = from.x;
    add(x, step, d);
    Point p = at(f, std::move(x));
    double here = std::isfinite(p.value) ? dot(p.g, d) : INFINITY;
    bool lower = p.value <= from.value + kDecrease * step * slope + slack;
    if (!lower || here > -kCurvature * slope) high = step;
    else if (here < kCurvature * slope) low = step;
    else return p;
    step = std::isinf(high) ? 2 * low : (low + high) / 2;
  }
  return {};
}

}  // namespace

LbfgsResult minimize(std::vector<double>& x, const Objective& f, const LbfgsOptions& options,
                     const std::function<bool()>& stop) {
  Point p = at(f, x);
  if (!std::isfinite(p.value)) fail(Fault::internal, "L-BFGS: the value is {} at the start", p.value);
  std::deque<Change> changes;
  int iteration = 0;
  auto ended = [&](End end) {
    x = p.x;
    return LbfgsResult{end, iteration, p.value, largest(p.g)};
  };
  for (; largest(p.g) > options.tolerance; ++iteration) {
    if (iteration == options.max_iterations) return ended(End::iterations);
    if (stop && stop()) return ended(End::stopped);
    std::optional<Point> next = line_search(f, p, direction(p.g, changes), options.noise);
    if (!next && changes.empty())
      return ended(largest(p.g) <= options.flat ? End::precision : End::stuck);
    if (!next) {  // what is remembered misleads: begin anew with the gradient
      changes.clear();
      continue;
    }
    Change change{next->x, next->g, 0};
    add(change.s, -1, p.x);
    add(change.y, -1, p.g);
    change.sy = dot(change.s, change.y);
    if (change.sy > 0) changes.push_back(std::move(change));
    if (changes.size() > size_t(options.memory)) changes.pop_front();
    p = std::move(*next);
  }
  return ended(End::gradient);
}

}  // namespace graft
