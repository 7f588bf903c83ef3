// Instead of the training loop: features computed once, and the head solved on them.
#pragma once
#include "apps/training.h"
#include "models/head_solver.h"
#include "models/neighbours.h"
#include "models/ridge_solver.h"

namespace graft::app {

struct SolvingSettings {
  HeadSolverOptions solver;
  int64_t images = 0, val_images = 0;  // of the training set, and to validate
  std::string method;      // lbfgs; ridge: least squares, solver.l2 its penalty, 0: chosen; knn: stored
  int64_t neighbours = 0;  // that vote, for comparison; 0: none do
  std::string phase;       // of the recipe, for the record
  TrunkInputOf input;      // for both sets
};

// Of a solution, line by line; the second line warns of a rough one.
std::string told(const LbfgsResult& solution, const LbfgsOptions& asked);

// Before anything is computed; `model` is frozen as the phase says. Throws Fault::usage when something
// before the head learns, or when `method` solves for no head of that form.
void require_solvable(Classifier& model, const std::string& method, const std::string& phase);

// Counts as one epoch; the hooks are those of train(), step_done after each batch of features.
// Throws Fault::internal when the solver does not converge: the model is then as it was found.
// -> true at the end, false when `stop` said so before.
bool solve(Classifier& model, Loader& training, Loader& validation,
           const SolvingSettings& settings, Progress& progress, const TrainingHooks& hooks);

}  // namespace graft::app
