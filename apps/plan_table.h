// The freeze plan as a table: what of a network learns, at which rate, and what the rest saves. Per
// image that is work of the backward pass and activations that are not kept for it, and once, for
// every parameter that stays, its gradient and the optimiser's moments.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "apps/command.h"
#include "layers/optimizer.h"
#include "models/training_cost.h"

namespace graft::app {

struct PlanCosts {  // per image
  StepCost planned, full;
  double gflops_saved() const { return (full.flops - planned.flops) / 1e9; }
  double mb_saved() const { return double(full.bytes - planned.bytes) / 1e6; }
};
PlanCosts plan_costs(Classifier& model);  // at the side that its images are cropped to

// How what learns does it. Rate 0: a solver is at work.
struct Learner {
  double rate = 0;
  OptimizerOptions optimizer;
};

enum class PlanRows { blocks, layers };

struct PlanRow {       // layers with parameters: those of a block, or one
  std::string layer;   // path
  Shape output;        // what comes out of it for one image: (H,W,C) or (C)
  int64_t layers = 0, parameters = 0, trained = 0;
  std::map<std::string, std::vector<std::string>> norms;  // their paths, by policy
  double slowest = 0, fastest = 0;  // rates; 0 where none learns by one
  PlanCosts costs;
  int64_t gradients_saved = 0;  // bytes, with moments
  bool frozen() const { return trained == 0; }
};
std::vector<PlanRow> plan_rows(Classifier& model, const Learner& how, PlanRows of = PlanRows::blocks);

std::string plan_table(const std::vector<PlanRow>& rows);  // of blocks: at most 100 columns
Json plan_json(const std::vector<PlanRow>& rows);
// "per image: backward 1 kFLOP of ..." and "gradients and moments: ...", a line each.
std::string plan_totals(Classifier& model, const OptimizerOptions& optimizer);

}  // namespace graft::app
