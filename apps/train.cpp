// graft train: from a folder of photographs and a pretrained network to a classifier.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/command.h"
#include "apps/find_lr.h"
#include "apps/phases.h"
#include "apps/progress.h"
#include "apps/run_folder.h"
#include "apps/solving.h"
#include "apps/train_checkpoint.h"
#include "apps/train_run.h"
#include "core/text.h"
#include "kernels/parallel.h"
#include "kernels/runtime.h"

namespace graft::app {
namespace {

constexpr const char* kTrainFooter = R"(Examples:
  graft train --weights resnet18.h5 --data photos --freeze trunk --epochs 10 --out run
  graft train --weights resnet18.h5 --data photos --head-solver lbfgs
  graft train --weights resnet18.h5 --data photos --augment none --cache photos.cache
  graft train --weights resnet18.h5 --data photos --head-solver ridge
  graft train --weights resnet18.h5 --data photos --head mlp:256 --optimizer adamw
  graft train --weights resnet18.h5 --data photos --freeze until:layer4 --lr 0.0005
  graft train --weights resnet18.h5 --data photos --recipe lp-ft --lr-decay 0.75 --ema 0.999
  graft train --model resnet18 --weights none --data photos --freeze none
  graft train --resume --out run)";

PlanRows rows_of_plan(const TrainRun& s) {
  return s.options.table == "layers" ? PlanRows::layers : PlanRows::blocks;
}

// ---- report -----------------------------------------------------------------------------------

Json report(TrainRun& s, const RunFolder& run) {
  const Progress& p = s.progress;
  Json epochs = Json::array();
  for (const EpochRecord& r : p.history) epochs.push_back(Json::parse(event_of(r)));
  int64_t trained = s.optimizer->parameters();
  Json document{{"val_accuracy", p.best_accuracy},
          {"epochs", epochs},
          {"images_per_second", p.train_seconds > 0 ? double(p.trained_images) / p.train_seconds : 0},
          {"seconds", {{"load", s.load_seconds}, {"train", p.train_seconds},
                       {"eval", p.eval_seconds}, {"total", seconds_since_start()}}},
          {"peak_rss_mb", peak_rss_mb()},
          {"device", s.place.device == Device::cpu ? "cpu" : name_of_cuda_device()},
          {"precision", s.place.precision},
          {"peak_device_mb", peak_cuda_bytes() >> 20},
          {"frozen_parameters", parameter_count(*s.model) - trained},
          {"trained_parameters", trained},
          {"model", run.model().string()},
          {"classes", s.model->class_names},
          {"cache", report_of(s.cache.get())},
          {"bad_images", s.training->bad_files().size() + s.validation->bad_files().size()}};
  const PlanCosts costs = plan_costs(*s.model);
  document["saved_per_image"] = {{"backward_gflop", costs.gflops_saved()}, {"activations_mb", costs.mb_saved()}};
  document["plan"] = plan_json(plan_rows(*s.model, learner_in(s), rows_of_plan(s)));
  if (!p.solution.empty()) document["solution"] = p.solution;
  return document;
}

// ---- the command ------------------------------------------------------------------------------

std::optional<LoadedCheckpoint> stopped_run(TrainRun& s, std::optional<RunFolder>& run,
                                            const Command& command) {
  if (!s.options.resume) return {};
  if (!RunFolder::has_checkpoint(s.options.out))
    fail(Fault::no_input, "--resume: there is no checkpoint in {}; start the run without --resume",
         printable(s.options.out));
  run.emplace(s.options.out);
  LoadedCheckpoint stopped = read_checkpoint(run->checkpoint());
  if (!stopped.notice.empty()) say("warning: " + stopped.notice);
  restore(s.options, Json::parse(stopped.checkpoint.text.at("options")), command);
  auto threads = stopped.checkpoint.integers.find("threads");  // sums depend on them in the last bit
  if (!command.given("--threads") && threads != stopped.checkpoint.integers.end())
    cpu::set_thread_count(int(std::clamp<int64_t>(threads->second, 1, 1024)));
  restore_cache(s.options, stopped.checkpoint, command);
  return stopped;
}

// A new run makes its folder last, so that a mistake in the options leaves none behind.
void open_folder(TrainRun& s, std::optional<RunFolder>& run) {
  if (!run) {
    s.replaces = RunFolder::has_checkpoint(s.options.out);
    run.emplace(s.options.out);
    if (s.replaces)
      say(fmt::format("warning: this replaces the run in {}; to go on with that one, stop now and "
                      "use --resume", printable(s.options.out)));
  }
}

void say_what_has_no_effect(const TrainRun& s, const Command& command) {
  if (s.place.device != Device::cpu) return;
  for (const char* option : {"--cuda-graph", "--device-cache-mb", "--kernels"})
    if (command.given(option))
      say(fmt::format("notice: {} has no effect on the processor: it is for a CUDA device", option));
}

void prepare(TrainRun& s, std::optional<RunFolder>& run, const Command& command) {
  std::optional<LoadedCheckpoint> stopped = stopped_run(s, run, command);
  s.place = Place(s.options.common, s.options.place);
  say_what_has_no_effect(s, command);
  if (s.place.precision == "f16") s.progress.loss_scale.value = 0x1p16;
  if (s.options.data.empty())
    fail(Fault::usage, "--data is missing: a folder of images or a CSV file");
  FreezePlan plan = FreezePlan::parse(s.options.freeze);
  if (stopped) {
    s.origin = stopped->checkpoint.model.origin;
    s.frozen_hashes = stopped->checkpoint.model.frozen_hashes;
    s.model = from_file(std::move(stopped->checkpoint.model));
    open_data(s);
    GRAFT_CHECK(s.model->class_names == s.data.train.classes, "--resume: the data has the classes "
                "{}, the stopped run {}", enumerate(printable(s.data.train.classes)),
                enumerate(printable(s.model->class_names)));
  } else {
    load_weights(s);
    if (s.options.image_size) {
      Preprocess& p = s.model->preprocess;
      p.resize = int(double(p.resize) * double(s.options.image_size) / p.crop + 0.5);
      p.crop = int(s.options.image_size);
    }
    open_data(s);
    fit_head(s);
  }
  s.place.bring(*s.model);
  freeze(*s.model, plan);
  if (parameter_count(*s.model, true) == 0)
    fail(Fault::usage, "--freeze {}: leaves nothing to learn; spare some layers, or measure the "
         "model as it is with graft eval", s.options.freeze);
  make_recipe(s);
  if (!stopped) s.frozen_hashes = hash_what_stays(s);
  check_phases(s);
  settle_trunk_precision(s);
  if (stopped) resume(s, stopped->checkpoint);
  else enter_phase(s);
  if (!s.options.recipes.find_lr) open_folder(s, run);
}

SolvingSettings solving_settings(const TrainRun& s) {
  const TrainOptions& o = s.phase().options;
  return {.solver = solver_options(o, s.settings.loss), .images = int64_t(s.data.train.samples.size()),
          .val_images = int64_t(s.data.val.samples.size()), .method = o.head_solver,
          .neighbours = o.neighbours, .phase = s.phase().name, .input = s.settings.input};
}

// A frozen trunk of random values teaches nothing: from scratch, everything learns.
void from_scratch(TrainOptions& options, const Command& command) {
  if (!command.given("--freeze")) options.freeze = "none";
  else if (options.freeze != "none")
    say("warning: --weights none with --freeze " + options.freeze + " keeps random values as they are");
}

// What rounding the trunk's products costs: the network that was saved, measured once more in f32.
std::optional<double> accuracy_in_f32(const TrainRun& s, const RunFolder& run) {
  const double rounded = s.progress.best_accuracy;
  if (!bf16_allowed() || rounded < 0) return {};
  const ExactProducts exact;
  const std::unique_ptr<Classifier> saved = load_model(run.model());
  saved->images_at_a_time(saved->part_for(s.options.batch));
  const double accuracy = evaluate(*saved, *validation_loader(s, nullptr)).accuracy();
  say(fmt::format("validation accuracy of the best epoch, which is saved: {:.4f} with the trunk in bf16, "
                  "{:.4f} in f32", rounded, accuracy));
  return accuracy;
}

// Runs the loop of one phase; a device that fails ends it as a stopped run.
bool learn(TrainRun& s, const TrainingHooks& hooks) {
  try {
    if (s.phase().options.head_solver != "sgd")
      return solve(*s.model, *s.training, *s.validation, solving_settings(s), s.progress, hooks);
    return train(*s.model, *s.optimizer, *s.training, s.validation.get(), s.settings, s.progress, hooks);
  } catch (const cuda::DeviceError& e) {
    const std::string out = printable(s.options.out);
    fail(Fault::unavailable, "the CUDA device failed: {}; {}", e.what(),
         RunFolder::has_checkpoint(s.options.out)
             ? fmt::format("the last checkpoint is whole, go on from it with: graft train --resume --out {}", out)
             : "nothing was saved yet");
  }
}

// Phase after phase; false where it was stopped.
bool learn_all(TrainRun& s, const TrainingHooks& hooks) {
  do {
    if (s.phases.size() > 1)
      say(fmt::format("phase {} of {}: {}", s.progress.phase + 1, s.phases.size(), s.phase().name));
    show_plan(*s.model, s.phase().options.freeze, learner_in(s), rows_of_plan(s),
              int64_t(s.data.train.samples.size()), int64_t(s.data.val.samples.size()));
    if (const std::string how = launch_plan(s); !how.empty()) say(how);
    BadImages bad_training(*s.training), bad_validation(*s.validation);
    if (!learn(s, hooks)) return false;
    if (s.progress.epoch < s.settings.epochs)
      say(fmt::format("no better for {} epochs: stopped early", s.settings.patience));
  } while (next_phase(s));
  return true;
}

int run_train(TrainOptions options, const Command& command) {
  apply(options.common);
  settle_solver(options, command);
  check_together(options, command);
  check_cache_options(options);
  if (options.weights == "none" && !options.resume) from_scratch(options, command);
  settle_recipe(options, command);
  TrainRun s;
  s.options = std::move(options);
  std::optional<RunFolder> folder;
  prepare(s, folder, command);
  if (s.options.recipes.find_lr) return find_rate(s);
  RunFolder& run = *folder;
  defer_signals();
  // From then on the folder is this run's, and --resume never takes up the one before. A head that
  // cannot be solved leaves that one as it was.
  auto take_folder = [&, taken = false, before = s.progress.history]() mutable {
    if (std::exchange(taken, true)) return;
    run.open_events(before);
    if (s.replaces) save_checkpoint(s, run);
  };
  if (s.phase().options.head_solver == "sgd") take_folder();
  s.load_seconds = seconds_since_start();
  ProgressLine line;
  auto step_done = [&] {
    line.update(s.progress.epoch + 1, s.settings.epochs, s.progress.batch, s.training->batches(),
                s.progress.images ? s.progress.loss_sum / double(s.progress.images) : 0);
  };
  auto epoch_done = [&] {
    take_folder();
    const EpochRecord& r = s.progress.history.back();
    line.finish(fmt::format("epoch {:3}/{}  train loss {:.4f}  val loss {:.4f}  val accuracy "
                            "{:.4f}  {:.1f} s", r.epoch, s.settings.epochs, r.train_loss,
                            r.val_loss, r.val_accuracy, r.seconds));
    bool best = r.val_accuracy > s.progress.best_accuracy;
    auto write_best = [&] {
      Averaged values(s.average.get());
      write_model_file(run.model(), model_file(s, true));
    };
    if (best && run.save(run.model(), write_best)) s.progress.best_accuracy = r.val_accuracy;
    save_checkpoint(s, run);
    run.log(event_of(r));
    if (s.cache) s.cache->save(false);
  };
  TrainingHooks hooks{step_done, epoch_done, [] { return stop_signal() != 0; }};
  const bool finished = learn_all(s, hooks);
  if (s.cache) s.cache->save(true);
  take_folder();
  if (!finished) {
    save_checkpoint(s, run);
    if (run.last_save_failed()) return int(Fault::io);
    say(fmt::format("stopped; go on with: graft train --resume --out {}", printable(s.options.out)));
    return 128 + stop_signal();
  }
  prove_frozen(s);
  const std::optional<double> in_f32 = accuracy_in_f32(s, run);
  if (s.options.common.json) {
    Json document = report(s, run);
    if (in_f32) document["val_accuracy_trunk_f32"] = *in_f32;
    print(document);
  } else {
    print(fmt::format("best validation accuracy {:.4f}; model in {}", s.progress.best_accuracy,
                      printable(run.model().string())));
  }
  return run.last_save_failed() ? int(Fault::io) : 0;
}

}  // namespace

Run add_train(CLI::App& program) {
  Command command(program, "train", "Train a classifier on your images");
  auto options = std::make_shared<TrainOptions>();
  add_train_options(command, *options);
  command.footer(kTrainFooter);
  return [options, command] { return run_train(*options, command); };
}

}  // namespace graft::app
