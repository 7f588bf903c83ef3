#include "apps/demo_report.h"

#include <algorithm>
#include <cmath>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace graft::app {
namespace {

double mean(const std::vector<Learned>& runs, double Learned::*field) {
  double sum = 0;
  for (const Learned& run : runs) sum += run.*field;
  return runs.empty() ? 0 : sum / double(runs.size());
}

}  // namespace

double DemoRow::accuracy() const { return mean(runs, &Learned::accuracy); }
double DemoRow::seconds() const { return mean(runs, &Learned::seconds); }

double DemoRow::deviation() const {
  double squares = 0;
  for (const Learned& run : runs) squares += std::pow(run.accuracy - accuracy(), 2);
  return runs.size() > 1 ? std::sqrt(squares / double(runs.size() - 1)) : 0;
}

double DemoRow::peak_mb() const {
  double most = 0;
  for (const Learned& run : runs) most = std::max(most, run.peak_mb);
  return most;
}

const DemoRow& best_pretrained(std::span<const DemoRow> rows) {
  auto score = [](const DemoRow& row) { return row.regime.pretrained ? row.accuracy() : -1; };
  return *std::max_element(rows.begin(), rows.end(),
                           [&](const DemoRow& a, const DemoRow& b) { return score(a) < score(b); });
}

std::string result_table(std::span<const DemoRow> rows) {
  std::string text =
      fmt::format("{:<8}  {:<36}  {:>14}  {:>7}  {:>10}  {:>7}", "regime", "what learns",
                  "accuracy (sd)", "seconds", "parameters", "peak MB");
  for (const DemoRow& row : rows)
    text += fmt::format(
        "\n{:<8}  {:<36}  {:>14}  {:>7.1f}  {:>10}  {:>7.1f}", row.regime.name, row.regime.about,
        fmt::format("{:.1f} % ({:.1f})", 100 * row.accuracy(), 100 * row.deviation()),
        row.seconds(), row.runs[0].trained, row.peak_mb());
  return text;
}

Json result_json(std::span<const DemoRow> rows) {
  Json document = Json::array();
  for (const DemoRow& row : rows) {
    Json accuracies = Json::array();
    for (const Learned& run : row.runs) accuracies.push_back(run.accuracy);
    document.push_back({{"regime", row.regime.name},
                        {"freeze", row.regime.freeze},
                        {"pretrained", row.regime.pretrained},
                        {"accuracy", row.accuracy()},
                        {"accuracies", accuracies},
                        {"seconds", row.seconds()},
                        {"trained_parameters", row.runs[0].trained},
                        {"peak_mb", row.peak_mb()}});
  }
  return document;
}

}  // namespace graft::app
