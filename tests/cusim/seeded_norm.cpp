// The smallest program that runs batch normalisation, for seeded.sh: statistics from x and from the
// moments of its tiles, forward, backward from y, from sums that are known, and of constants. In
// integers and exact where they allow it. Argument: forward, reverse or random. Prints PASS, or
// what is wrong.
#include <array>
#include <vector>

#include "tests/cusim/seeded_f32.h"
#include "kernels/cuda/norm.cu"
#include "kernels/cuda/norm_backward.cu"
#include "kernels/cuda/norm_moments.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;
using cusim::same;

namespace {

using Floats = cusim::Guarded<float>;
constexpr double kBound = 1e-5;
constexpr float kMomentum = 0.25f, kEps = 0.5f, kRstd = 2;
constexpr size_t kTile = 32;  // rows whose moments or sums are known

struct Case {
  size_t rows, channels;
  Floats x, dy, residual, mean, rstd, gamma, beta;
  NormProblem p;

  Case(size_t rows, size_t channels)
      : rows(rows), channels(channels), x(rows * channels), dy(x.size()), residual(x.size()),
        mean(channels), rstd(channels), gamma(channels), beta(channels) {
    for (size_t i = 0; i < x.size(); ++i) {
      x[i] = float(i * 5 % 7) + float(i % channels);
      dy[i] = float(i * 3 % 7) - 3;
      residual[i] = float(i * 2 % 5);
    }
    for (size_t j = 0; j < channels; ++j) {
      mean[j] = float(j + 3), rstd[j] = kRstd;
      gamma[j] = float(j % 3 + 1), beta[j] = float(j % 5) - 2;
    }
    p = {int64_t(rows), int64_t(channels), mean.data(), rstd.data(), gamma.data(), beta.data(),
         Activation::relu};
  }
  size_t tiles() const { return (rows + kTile - 1) / kTile; }
  float centred(size_t i) const { return x[i] - mean[i % channels]; }
  float scale(size_t i) const { return kRstd * gamma[i % channels]; }
  float y(size_t i, bool residual_too) const {
    return std::max(0.0f, centred(i) * scale(i) + beta[i % channels] +
                              (residual_too ? residual[i] : 0));
  }
  float g(size_t i, bool residual_too) const { return y(i, residual_too) > 0 ? dy[i] : 0; }

  // Over a channel's rows from `begin` to before `end`.
  template <class Of>
  double sum(size_t channel, const Of& of, size_t begin = 0, size_t end = ~size_t(0)) const {
    double sum = 0;
    for (size_t row = begin; row < std::min(end, rows); ++row)
      sum += double(of(row * channels + channel));
    return sum;
  }
};

// From x, or from the moments of its tiles.
bool statistics(const Case& c, bool of_tiles) {
  Floats mean(c.channels), var(c.channels), rstd(c.channels);
  Floats running(c.channels), running_var(c.channels);
  for (size_t j = 0; j < c.channels; ++j) running[j] = running_var[j] = 1;
  auto spread_of = [&](size_t j, double around, size_t begin, size_t end) {
    return c.sum(j, [&](size_t i) { return std::pow(double(c.x[i]) - around, 2); }, begin, end);
  };
  auto of_x = [&](size_t i) { return c.x[i]; };
  cusim::Guarded<ChannelMoments> moments(c.tiles() * c.channels);
  for (size_t i = 0; i < moments.size(); ++i) {
    const size_t j = i % c.channels, begin = i / c.channels * kTile;
    const size_t end = std::min(begin + kTile, c.rows);
    const double m = c.sum(j, of_x, begin, end) / double(end - begin);
    moments[i] = {float(m), float(spread_of(j, m, begin, end))};
  }
  const BatchStatistics out{.mean = mean.data(), .var = var.data(), .rstd = rstd.data(),
                            .eps = kEps, .running_mean = running.data(),
                            .running_var = running_var.data(), .momentum = kMomentum};
  const auto rows = int64_t(c.rows), channels = int64_t(c.channels);
  if (of_tiles)
    batch_norm_statistics(rows, channels,
                          TileMoments{moments.data(), rows_in_tiles(rows, kTile)}, out, {});
  else
    batch_norm_statistics(rows, channels, c.x.data(), out, {});
  synchronize(Stream{});

  auto m = [&](size_t j) { return c.sum(j, of_x) / double(c.rows); };
  auto spread = [&](size_t j) { return spread_of(j, m(j), 0, c.rows); };
  auto moved = [&](double to) { return 1 - kMomentum + kMomentum * to; };
  return same("mean", mean, m, kBound) &&
         same("var", var, [&](size_t j) { return spread(j) / double(c.rows); }, kBound) &&
         same("rstd", rstd, [&](size_t j) {
           return 1 / std::sqrt(spread(j) / double(c.rows) + double(kEps));
         }, kBound) &&
         same("running mean", running, [&](size_t j) { return moved(m(j)); }, kBound) &&
         same("running var", running_var, [&](size_t j) {
           return moved(spread(j) / double(c.rows - 1));
         }, kBound);
}

bool forward(const Case& c, bool residual) {
  Floats y(c.x.size());
  batch_norm_forward(c.p, c.x.data(), residual ? c.residual.data() : nullptr, y.data(), {});
  synchronize(Stream{});
  return same("y", y, [&](size_t i) { return c.y(i, residual); });
}

enum class From { y, sums, constants };

bool backward(const Case& c, From from) {
  const bool residual = from == From::y;  // only y tells where relu passed
  auto g = [&](size_t i) { return c.g(i, residual); };
  auto slope = [&](size_t i) { return g(i) * c.centred(i); };
  Floats y(c.x.size()), dx(c.x.size()), dresidual(c.x.size());
  Floats dgamma(c.channels), dbeta(c.channels);
  for (size_t i = 0; i < y.size(); ++i) y[i] = c.y(i, residual);
  Floats sums(c.tiles() * 2 * c.channels);
  for (size_t i = 0; i < sums.size(); ++i) {
    const size_t j = i % c.channels, begin = i / c.channels / 2 * kTile, end = begin + kTile;
    sums[i] = float(i / c.channels % 2 ? c.sum(j, slope, begin, end) : c.sum(j, g, begin, end));
  }
  cuda::NormGradients<float> out{dx.data(), dgamma.data(), dbeta.data(), nullptr};
  if (from == From::sums) {
    batch_norm_backward_by_sums(c.p, c.x.data(), c.dy.data(),
                                {sums.data(), int64_t(c.tiles())}, out, {});
  } else if (from == From::y) {
    out.dresidual = dresidual.data();
    batch_norm_backward_train(c.p, c.x.data(), y.data(), c.dy.data(), out, {});
  } else {
    batch_norm_backward_frozen(c.p, c.x.data(), y.data(), c.dy.data(), out, {});
  }
  synchronize(Stream{});

  const bool learning = from != From::constants;
  std::vector<double> means, slopes;
  for (size_t j = 0; j < c.channels; ++j) {
    means.push_back(learning ? c.sum(j, g) / double(c.rows) : 0);
    slopes.push_back(learning ? c.sum(j, slope) / double(c.rows) * kRstd * kRstd : 0);
  }
  return same("dbeta", dbeta, [&](size_t j) { return c.sum(j, g); }) &&
         same("dgamma", dgamma, [&](size_t j) { return c.sum(j, slope) * kRstd; }) &&
         same("dresidual", dresidual, [&](size_t i) { return residual ? g(i) : NAN; }) &&
         same("dx", dx, [&](size_t i) {
           const size_t j = i % c.channels;
           return double(c.scale(i)) *
                  (double(g(i)) - means[j] - double(c.centred(i)) * slopes[j]);
         }, learning ? kBound : 0);
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = true;
  for (auto [rows, channels] : {std::array<size_t, 2>{300, 36}, {65, 5}}) {  // vectors, and none
    const Case c(rows, channels);
    good = good && statistics(c, false) && statistics(c, true) && forward(c, false) &&
           forward(c, true) && backward(c, From::y) && backward(c, From::sums) &&
           backward(c, From::constants);
  }
  if (good) std::puts("PASS");
  return !good;
}
