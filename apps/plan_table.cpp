#include "apps/plan_table.h"

#include <algorithm>

#include "layers/batch_norm.h"
#include "layers/freeze.h"

namespace graft::app {
namespace {

struct Group {
  std::string name;
  int64_t layers = 0, parameters = 0, trained = 0;
  double slowest = 0, fastest = 0;  // factors of the rate; 0 and 0: nothing learns
  std::string norms;                // policies met
  std::string output;               // "56x56x64"
  PlanCosts costs;
};

// "features.3.squeeze" belongs to "features.3", "layer1.0.conv1" to "layer1".
std::string group_of(const std::string& path) {
  size_t dot = path.find('.');
  std::string first = path.substr(0, dot);
  if (dot == path.npos || (first != "features" && first != "classifier")) return first;
  return path.substr(0, path.find('.', dot + 1));
}

void add_factors(Classifier& model, const RateFactors& factors, std::vector<Group>& all) {
  each_param(model, [&](const std::string& path, Param& p) {
    auto group =
        std::find_if(all.begin(), all.end(), [&](auto& g) { return g.name == group_of(path); });
    if (!p.requires_grad() || group == all.end()) return;
    auto known = factors.find(path);
    const double factor = known == factors.end() ? 1 : known->second;
    group->slowest = group->slowest > 0 ? std::min(group->slowest, factor) : factor;
    group->fastest = std::max(group->fastest, factor);
  });
}

std::vector<Group> groups(Classifier& model) {
  std::vector<Group> all;
  auto group = [&](const std::string& path) -> Group& {
    std::string name = group_of(path);
    if (all.empty() || all.back().name != name) all.push_back({name});
    return all.back();
  };
  for (const FreezeRow& row : freeze_table(model)) {
    Group& g = group(row.layer);
    ++g.layers;
    g.parameters += row.parameters;
    g.trained += row.trained;
  }
  each_module(model, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (!norm) return;
    for (Group& g : all) {
      std::string policy = name_of(norm->policy());
      if (g.name == group_of(path) && g.norms.find(policy) == g.norms.npos)
        g.norms += (g.norms.empty() ? "" : "+") + policy;
    }
  });
  for (const LayerCost& cost : training_costs(model, model.preprocess.crop))
    for (Group& g : all) {
      if (g.name != group_of(cost.layer)) continue;
      g.output = fmt::format("{}", fmt::join(cost.output.begin() + 1, cost.output.end(), "x"));
      g.costs.planned += cost.planned, g.costs.full += cost.full;
      break;
    }
  return all;
}

std::string rate_of(const Group& g, double rate) {
  if (g.trained == 0) return "";
  if (rate == 0) return "solved";
  const std::string fastest = fmt::format("{:.2g}", rate * g.fastest);
  return g.slowest == g.fastest ? fastest : fmt::format("{:.2g}-{}", rate * g.slowest, fastest);
}

// 1234567 -> "1.23 M".
std::string metric(double value) {
  size_t prefix = 0;
  for (; value >= 999.5 && prefix < 4; ++prefix) value /= 1000;
  return fmt::format("{:.3g} {}", value, std::string_view(" kMGT").substr(prefix, 1));
}

}  // namespace

PlanCosts plan_costs(Classifier& model) {
  PlanCosts all;
  for (const LayerCost& cost : training_costs(model, model.preprocess.crop))
    all.planned += cost.planned, all.full += cost.full;
  return all;
}

std::string plan_table(Classifier& model, double rate, const RateFactors& factors) {
  constexpr const char* kRow = "  {:<12} {:<11} {:>5} {:>10}  {:<7} {:<12} {:<14} {:>10} {:>8}\n";
  std::string text = fmt::format(fmt::runtime(kRow), "layer", "output", "parts", "parameters", "",
                                 "norm policy", "rate", "saved FLOP", "bytes");
  std::vector<Group> all_groups = groups(model);
  add_factors(model, factors, all_groups);
  for (const Group& g : all_groups) {
    const bool all = g.trained == g.parameters;
    const StepCost &planned = g.costs.planned, &full = g.costs.full;
    text += fmt::format(fmt::runtime(kRow), g.name, g.output, g.layers, g.parameters,
                        g.trained == 0 ? "frozen"
                        : all          ? "trained"
                                       : "partly",
                        g.norms, rate_of(g, rate), metric(full.flops - planned.flops),
                        metric(double(full.bytes - planned.bytes)));
  }
  return text;
}

std::string plan_totals(const PlanCosts& c) {
  return fmt::format("per image: backward {}FLOP of {}FLOP, activations kept {}B of {}B",
                     metric(c.planned.flops), metric(c.full.flops), metric(double(c.planned.bytes)),
                     metric(double(c.full.bytes)));
}

}  // namespace graft::app
