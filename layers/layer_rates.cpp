#include "layers/layer_rates.h"

#include <fnmatch.h>

#include <cmath>

#include "core/text.h"
#include "layers/blocks.h"

namespace graft {
namespace {

// The path itself, or a module that it is in.
bool matches(const std::string& glob, const std::string& path) {
  for (size_t end = path.find('.');; end = path.find('.', end + 1)) {
    if (fnmatch(glob.c_str(), path.substr(0, end).c_str(), 0) == 0) return true;
    if (end == std::string::npos) return false;
  }
}

void apply(const RatePlan::Rate& rate, const std::vector<std::string>& learning, double base,
           std::map<std::string, double>& factors) {
  bool hit = false;
  for (const std::string& path : learning) {
    if (!matches(rate.glob, path)) continue;
    factors[path] = rate.rate / base;
    hit = true;
  }
  if (!hit)
    fail(Fault::usage,
         "learning rates: '{}' matches nothing that learns; the nearest that do are {}", rate.glob,
         enumerate(nearest_names(rate.glob, learning, 5)));
}

}  // namespace

RatePlan::Rate parse_rate(const std::string& text) {
  const size_t at = text.rfind('=');
  double rate = 0;
  size_t end = 0;
  try {
    if (at != std::string::npos) rate = std::stod(text.substr(at + 1), &end);
  } catch (const std::exception&) {
  }
  const bool whole = at != std::string::npos && at > 0 && end > 0 && at + 1 + end == text.size();
  if (!whole || !std::isfinite(rate) || rate <= 0 || rate > 1e6)
    fail(Fault::usage,
         "learning rates: '{}' is not GLOB=RATE with a rate above 0, as layer4.*=0.0001 "
         "is; what must not learn is for the freeze plan",
         text);
  return {text.substr(0, at), rate};
}

std::map<std::string, double> rate_factors(Module& model, const RatePlan& plan, double base) {
  std::map<std::string, double> factors;
  std::vector<Block> blocks = blocks_of(model);
  for (size_t i = 0; i < blocks.size() && plan.decay != 1; ++i)
    for (const std::string& path : blocks[i].parameters)
      factors[path] = std::pow(plan.decay, double(blocks.size() - 1 - i));
  std::vector<std::string> learning;
  each_param(model, [&](const std::string& path, Param& p) {
    if (p.requires_grad()) learning.push_back(path);
  });
  for (const RatePlan::Rate& rate : plan.rates) apply(rate, learning, base, factors);
  return factors;
}

}  // namespace graft
