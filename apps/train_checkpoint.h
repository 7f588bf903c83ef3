// What graft train writes of a run, and how it goes on from that.
#pragma once
#include "apps/run_folder.h"
#include "apps/train_run.h"

namespace graft::app {

ModelFile model_file(TrainRun& s, bool with_golden);
void save_checkpoint(TrainRun& s, RunFolder& run);

// Goes on where the checkpoint was made; the model is its own already. Throws where the images
// differ.
void resume(TrainRun& s, const Checkpoint& checkpoint);
// --cache and --cache-limit as the stopped run had them, unless they are said now: they change no
// result.
void restore_cache(TrainOptions& options, const Checkpoint& checkpoint, const Command& command);

// Throws Fault::internal where a frozen tensor is not what it was before training, by its hash.
void prove_frozen(TrainRun& s);

}  // namespace graft::app
