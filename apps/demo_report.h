// What graft demo found out: the regimes it compares, and their results as a table or as JSON.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "apps/command.h"
#include "apps/demo_learn.h"

namespace graft::app {

struct Regime {
  const char* name;    // and that of its model file
  const char* freeze;  // plan
  const char* about;
  bool pretrained;
  double rate;  // learning rate at its highest
};

struct DemoRow {
  Regime regime;
  std::vector<Learned> runs;  // one per seed

  double accuracy() const;   // means over the seeds
  double deviation() const;  // of the accuracy between seeds; 0 for one
  double seconds() const;
  double peak_mb() const;  // the largest
};

const DemoRow& best_pretrained(std::span<const DemoRow> rows);  // by accuracy
std::string result_table(std::span<const DemoRow> rows);
Json result_json(std::span<const DemoRow> rows);

}  // namespace graft::app
