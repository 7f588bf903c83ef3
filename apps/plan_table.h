// The freeze plan as a table: what of a network learns, at which rate, and what the rest saves.
#pragma once
#include <map>
#include <string>

#include "models/training_cost.h"

namespace graft::app {

struct PlanCosts {  // per image
  StepCost planned, full;
  double gflops_saved() const { return (full.flops - planned.flops) / 1e9; }
  double mb_saved() const { return double(full.bytes - planned.bytes) / 1e6; }
};
PlanCosts plan_costs(Classifier& model);  // at the side that its images are cropped to

// Layers with parameters, grouped where a whole block is alike: what comes out of it for one image,
// parameters, learns or stays, norms, learning rate, and what the backward pass does not do or
// keep. `factors` are of the rate, by parameter; 1 where a path is missing. With rate 0 a solver is
// at work.
using RateFactors = std::map<std::string, double>;
std::string plan_table(Classifier& model, double rate, const RateFactors& factors);
std::string plan_totals(const PlanCosts& costs);  // "per image: backward 1 kFLOP of ..."

}  // namespace graft::app
