#include "io/mixup.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>

#include "core/check.h"

namespace graft {
namespace {

double above_zero(Random& random) { return (double(random.next()) + 0.5) * 0x1p-32; }

// The logarithm of a draw from Gamma(a, 1): Marsaglia and Tsang (2000), for a < 1 through Gamma(a +
// 1). In logarithms, for a small a gives values that no double holds.
double log_gamma_draw(double a, Random& random) {
  if (a < 1) return log_gamma_draw(a + 1, random) + std::log(above_zero(random)) / a;
  const double d = a - 1.0 / 3, c = 1 / std::sqrt(9 * d);
  while (true) {
    const double x = random.normal(), v = std::pow(1 + c * x, 3);
    if (v > 0 && std::log(above_zero(random)) < 0.5 * x * x + d * (1 - v + std::log(v)))
      return std::log(d * v);
  }
}

// The paper's box: sides by the root of the area, its centre anywhere, cut off at the edges.
Box draw_box(double area, int side, Random& random) {
  const int half = int(side * std::sqrt(area)) / 2;
  const int x = int(random.below(uint64_t(side))), y = int(random.below(uint64_t(side)));
  return {std::max(x - half, 0), std::max(y - half, 0), std::min(x + half, side),
          std::min(y + half, side)};
}

}  // namespace

double draw_beta(double a, Random& random) {
  const double x = log_gamma_draw(a, random), y = log_gamma_draw(a, random);
  return 1 / (1 + std::exp(y - x));
}

Mix draw_mix(const MixOptions& options, int64_t images, int side, Random random) {
  Mix mix;
  mix.partners.resize(size_t(images));
  std::iota(mix.partners.begin(), mix.partners.end(), 0);
  for (size_t i = mix.partners.size(); i > 1; --i)
    std::swap(mix.partners[i - 1], mix.partners[random.below(i)]);
  mix.patch = options.mixup > 0 && options.cutmix > 0 ? random.below(2) == 1 : options.cutmix > 0;
  const double share = draw_beta(mix.patch ? options.cutmix : options.mixup, random);
  mix.share = float(share);
  if (!mix.patch) return mix;
  mix.box = draw_box(1 - share, side, random);
  mix.share = float(1 - double(mix.box.width()) * mix.box.height() / (double(side) * side));
  return mix;
}

Tensor partners_of(const Tensor& rows, const Mix& mix) {
  GRAFT_CHECK(rows.dim(0) == int64_t(mix.partners.size()), "mix: {} rows for {} partners",
              rows.dim(0), mix.partners.size());
  Tensor result(rows.shape(), rows.dtype());
  const size_t bytes = rows.bytes() / size_t(rows.dim(0));
  auto* to = static_cast<char*>(result.mutable_raw());
  const auto* from = static_cast<const char*>(rows.raw());
  for (size_t i = 0; i < mix.partners.size(); ++i)
    std::memcpy(to + i * bytes, from + size_t(mix.partners[i]) * bytes, bytes);
  return result;
}

}  // namespace graft
