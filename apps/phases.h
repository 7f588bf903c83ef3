// Going through the phases of a run, and what recipes keep in its checkpoint.
#pragma once
#include "apps/plan_table.h"
#include "apps/train_run.h"
#include "io/checkpoint.h"

namespace graft::app {

// The model is frozen as the plan says, and at its start: what recipes need to know of it then.
void make_recipe(TrainRun& s);

// By name, of what stays in all phases, by the plan and in each of them: a probe trains the head whatever
// the plan says. The model is then frozen as one of them says.
std::map<std::string, std::string> hash_what_stays(TrainRun& s);

// Of all phases, before anything is computed. Throws Fault::usage where a head cannot be solved for, or
// where a new one would never learn; likewise.
void check_phases(TrainRun& s);
// --trunk-precision, for what stays in any phase; likewise.
void settle_trunk_precision(TrainRun& s);

// That of s.progress: freezes, and makes the optimiser, the loaders and what the loop is told.
void enter_phase(TrainRun& s);
Learner learner_in(const TrainRun& s);  // of this phase
bool next_phase(TrainRun& s);  // enters the next one at its start; false at the end

void put_recipe(Checkpoint& checkpoint, const TrainRun& s);
void get_recipe(const Checkpoint& checkpoint, TrainRun& s);  // after enter_phase

// Defaults that depend on the recipe: what learns, and how fast.
void settle_recipe(TrainOptions& options, const Command& command);

}  // namespace graft::app
