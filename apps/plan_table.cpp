#include "apps/plan_table.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "layers/batch_norm.h"
#include "layers/freeze.h"

namespace graft::app {
namespace {

// "features.3.squeeze" belongs to "features.3", "layer1.0.conv1" to "layer1".
std::string group_of(const std::string& path) {
  size_t dot = path.find('.');
  std::string first = path.substr(0, dot);
  if (dot == path.npos || (first != "features" && first != "classifier")) return first;
  return path.substr(0, path.find('.', dot + 1));
}

using Rows = std::vector<PlanRow>;

// Of a layer or what is in it, a parameter for instance.
PlanRow* row_of(const std::string& path, Rows& rows) {
  auto holds = [&](const PlanRow& row) { return path == row.layer || path.starts_with(row.layer + "."); };
  auto row = std::find_if(rows.begin(), rows.end(), holds);
  return row == rows.end() ? nullptr : &*row;
}

Rows rows_with_parameters(Classifier& model, PlanRows of) {
  Rows rows;
  for (const FreezeRow& layer : freeze_table(model)) {
    const std::string name = of == PlanRows::blocks ? group_of(layer.layer) : layer.layer;
    if (rows.empty() || rows.back().layer != name) rows.push_back({.layer = name});
    ++rows.back().layers;
    rows.back().parameters += layer.parameters;
    rows.back().trained += layer.trained;
  }
  return rows;
}

void add_rates(Classifier& model, const Learner& how, Rows& rows) {
  each_param(model, [&](const std::string& path, Param& p) {
    PlanRow* row = row_of(path, rows);
    if (!p.requires_grad() || !row) return;
    auto factor = how.optimizer.rate_factors.find(path);
    const double rate = how.rate * (factor == how.optimizer.rate_factors.end() ? 1 : factor->second);
    row->slowest = row->slowest > 0 ? std::min(row->slowest, rate) : rate;
    row->fastest = std::max(row->fastest, rate);
  });
}

void add_norms(Classifier& model, Rows& rows) {
  each_module(model, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    PlanRow* row = norm ? row_of(path, rows) : nullptr;
    if (row) row->norms[name_of(norm->policy())].push_back(path);
  });
}

void add_costs(Classifier& model, Rows& rows) {
  for (const LayerCost& cost : training_costs(model, model.preprocess.crop)) {
    PlanRow* row = row_of(cost.layer, rows);
    if (!row) continue;
    row->output.assign(cost.output.begin() + 1, cost.output.end());
    row->costs.planned += cost.planned, row->costs.full += cost.full;
  }
}

const char* state_of(const PlanRow& row) {
  return row.frozen() ? "frozen" : row.trained == row.parameters ? "trained" : "partly";
}

std::string rate_of(const PlanRow& row) {
  if (row.frozen()) return "";
  if (row.fastest == 0) return "solved";
  const std::string fastest = fmt::format("{:.2g}", row.fastest);
  return row.slowest == row.fastest ? fastest : fmt::format("{:.2g}-{}", row.slowest, fastest);
}

std::string policy_of(const PlanRow& row) {
  if (row.norms.size() > 1) return "mixed";
  return row.norms.empty() ? "" : row.norms.begin()->first;
}

// Which norms of a row have which policy: "    frozen norms: 0.bn1 and 0.bn2", a line each.
std::string mixed_norms(const PlanRow& row) {
  std::string text;
  for (auto& [policy, paths] : row.norms) {
    std::vector<std::string> names;
    for (const std::string& path : paths) names.push_back(path.substr(row.layer.size() + 1));
    text += fmt::format("    {} norms: {}\n", policy, enumerate(names, 3));
  }
  return text;
}

// 1234567 -> "1.23 MB".
std::string metric(double value, const char* unit) {
  constexpr const char* kPrefixes[] = {"", "k", "M", "G", "T"};
  size_t prefix = 0;
  for (; value >= 999.5 && prefix < 4; ++prefix) value /= 1000;
  return fmt::format("{:.3g} {}{}", value, kPrefixes[prefix], unit);
}

std::string metric_bytes(int64_t bytes) { return metric(double(bytes), "B"); }
std::string metric_flop(double flop) { return metric(flop, "FLOP"); }

}  // namespace

PlanCosts plan_costs(Classifier& model) {
  PlanCosts all;
  for (const LayerCost& cost : training_costs(model, model.preprocess.crop))
    all.planned += cost.planned, all.full += cost.full;
  return all;
}

std::vector<PlanRow> plan_rows(Classifier& model, const Learner& how, PlanRows of) {
  Rows rows = rows_with_parameters(model, of);
  add_rates(model, how, rows);
  add_norms(model, rows);
  add_costs(model, rows);
  for (PlanRow& row : rows)
    row.gradients_saved = (row.parameters - row.trained) * bytes_per_parameter(how.optimizer);
  return rows;
}

std::string plan_table(const std::vector<PlanRow>& rows) {
  size_t wide = 12;
  for (const PlanRow& row : rows) wide = std::max(wide, row.layer.size());
  constexpr const char* kRow = "  {:<{}} {:<11} {:>10}  {:<7} {:<6} {:<13} {:>10} {:>11} {:>9}\n";
  std::string text =
      fmt::format(fmt::runtime(kRow), "layer", wide, "output", "parameters", "", "norms", "rate",
                  "saved work", "activations", "gradients");
  for (const PlanRow& row : rows) {
    const StepCost &planned = row.costs.planned, &full = row.costs.full;
    text += fmt::format(fmt::runtime(kRow), row.layer, wide, fmt::format("{}", fmt::join(row.output, "x")),
                        row.parameters, state_of(row), policy_of(row), rate_of(row),
                        metric_flop(full.flops - planned.flops),
                        metric_bytes(full.bytes - planned.bytes), metric_bytes(row.gradients_saved));
    if (row.norms.size() > 1) text += mixed_norms(row);
  }
  return text;
}

Json plan_json(const std::vector<PlanRow>& rows) {
  Json all = Json::array();
  for (const PlanRow& row : rows) {
    const StepCost &planned = row.costs.planned, &full = row.costs.full;
    all.push_back({{"layer", row.layer},
                   {"output", row.output},
                   {"layers", row.layers},
                   {"parameters", row.parameters},
                   {"trained_parameters", row.trained},
                   {"state", state_of(row)},
                   {"norms", row.norms},
                   {"slowest_rate", row.slowest},
                   {"fastest_rate", row.fastest},
                   {"backward_flop", planned.flops},
                   {"backward_flop_saved", full.flops - planned.flops},
                   {"activation_bytes", planned.bytes},
                   {"activation_bytes_saved", full.bytes - planned.bytes},
                   {"gradient_bytes_saved", row.gradients_saved}});
  }
  return all;
}

std::string plan_totals(Classifier& model, const OptimizerOptions& optimizer) {
  const PlanCosts c = plan_costs(model);
  const int64_t each = bytes_per_parameter(optimizer);
  return fmt::format("per image: backward {} of {}, activations kept {} of {}\n"
                     "gradients and moments: {} of {}",
                     metric_flop(c.planned.flops), metric_flop(c.full.flops),
                     metric_bytes(c.planned.bytes), metric_bytes(c.full.bytes), metric_bytes(each * parameter_count(model, true)),
                     metric_bytes(each * parameter_count(model)));
}

}  // namespace graft::app
