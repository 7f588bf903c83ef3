// Going through the phases of a run, and what recipes keep in its checkpoint.
#pragma once
#include "apps/plan_table.h"
#include "apps/train_run.h"
#include "io/checkpoint.h"

namespace graft::app {

// The model is frozen as the plan says, and at its start: what recipes need to know of it then.
void make_recipe(TrainRun& s);

// That of s.progress: freezes, and makes the optimiser, the loaders and what the loop is told.
void enter_phase(TrainRun& s);
Learner learner_in(const TrainRun& s);  // of this phase
bool next_phase(TrainRun& s);  // enters the next one at its start; false at the end

void put_recipe(Checkpoint& checkpoint, const TrainRun& s);
void get_recipe(const Checkpoint& checkpoint, TrainRun& s);  // after enter_phase

// Defaults that depend on the recipe: what learns, and how fast.
void settle_recipe(TrainOptions& options, const Command& command);

}  // namespace graft::app
