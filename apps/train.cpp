// graft train: from a folder of photographs and a pretrained network to a classifier.
#include <algorithm>
#include <optional>

#include "apps/command.h"
#include "apps/progress.h"
#include "apps/run_folder.h"
#include "apps/train_options.h"
#include "core/text.h"
#include "kernels/parallel.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

constexpr const char* kFooter = R"(Examples:
  graft train --weights resnet18.h5 --data photos --freeze trunk --epochs 10 --out run
  graft train --weights resnet18.h5 --data photos --freeze until:layer4 --lr 0.0005
  graft train --model resnet18 --weights none --data photos --freeze none
  graft train --resume --out run)";

struct Session {  // everything of one run
  TrainOptions options;
  std::unique_ptr<Classifier> model;
  std::map<std::string, std::string> origin;
  Split data;
  std::unique_ptr<Loader> training, validation;
  std::unique_ptr<Optimizer> optimizer;
  TrainingSettings settings;
  Progress progress;
  std::map<std::string, std::string> frozen_hashes;
  double load_seconds = 0;
  bool replaces = false;  // an earlier run in the same folder
};

// ---- model ------------------------------------------------------------------------------------

void load_weights(Session& s) {
  const TrainOptions& o = s.options;
  if (o.weights == "none") {
    if (o.model.empty()) fail(Fault::usage, "--weights none needs --model NAME; see graft models");
    s.model = make_model(o.model, zoo_row(o.model).classes, o.common.seed);
    s.origin["weights"] = "none";
    return;
  }
  Adopted adopted = adopt(o.weights, o.model, o.partial);
  if (!adopted.report.complete())
    say(fmt::format("{}: {}", printable(o.weights), adopted.report.text()));
  if (o.verify) require_golden(adopted, o.weights);
  s.model = std::move(adopted.model);
  s.origin = std::move(adopted.file.origin);
  s.origin["weights"] = o.weights;
}

// Keeps the head when it already knows exactly these classes; else a new one is grafted on.
void fit_head(Session& s) {
  const std::vector<std::string>& classes = s.data.train.classes;
  if (s.model->class_names == classes) return;
  int64_t before = s.model->classes();
  s.model->replace_head(int64_t(classes.size()), s.options.common.seed);
  s.model->class_names = classes;
  say(fmt::format("new head {}: {} -> {} classes ({})", s.model->head_path(), before,
                  classes.size(), enumerate(printable(classes), 8)));
}

// ---- data -------------------------------------------------------------------------------------

bool same_names(std::vector<std::string> a, std::vector<std::string> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

void open_data(Session& s) {
  const TrainOptions& o = s.options;
  DatasetOptions options;
  options.allow_single_class = o.allow_single_class;
  options.allow_empty = o.allow_empty;
  options.val_split = o.val_split;
  s.data = open_split(o.data, options);
  bool known = same_names(s.model->class_names, s.data.train.classes) ||
               same_names(s.model->class_ids, s.data.train.classes);
  if (known && s.model->class_names != s.data.train.classes) {  // in another order, or by their ids
    options.names = s.model->class_names;
    options.aliases = s.model->class_ids;
    s.data = open_split(o.data, options);
  }
  for (const std::string& warning : s.data.train.report.warnings) say("warning: " + warning);
  for (auto& [why, count] : s.data.train.report.left_out)
    say(fmt::format("left out: {} {}", count, why));
  GRAFT_CHECK(!s.data.val.samples.empty(), "{}: no images to validate on; make a val folder, or "
              "hold some back with --val-split 0.2", printable(o.data));
}

bool uses_batch_statistics(Classifier& model) {
  bool any = false;
  model.train();
  each_module(model, [&](auto&, Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) any |= norm->uses_batch_statistics();
  });
  return any;
}

void make_loaders(Session& s) {
  const TrainOptions& o = s.options;
  LoaderOptions options;
  options.batch = o.batch;
  options.seed = o.common.seed;
  options.threads = o.loader_threads >= 0 ? int(o.loader_threads) : cpu::thread_count();
  options.strict = o.strict;
  options.max_bad_fraction = o.max_bad_images;
  options.cache_bytes = (o.cache_mb << 20) / 4;
  s.validation = std::make_unique<Loader>(s.data.val, Transform(s.model->preprocess), options);
  options.shuffle = true;
  options.cache_bytes = (o.cache_mb << 20) / 4 * 3;
  bool batch_statistics = uses_batch_statistics(*s.model);
  if (batch_statistics && (o.batch < 2 || s.data.train.samples.size() < 2))
    fail(Fault::usage, "--batch {}: batch norm cannot learn from one image; use a larger --batch, "
         "or freeze the norms with --freeze {},bn=frozen", o.batch, o.freeze);
  if (batch_statistics && o.batch < 8)
    say("warning: batch norm learns badly from fewer than 8 images; consider bn=frozen");
  options.min_last_batch = batch_statistics ? 2 : 1;
  Transform transform = o.augment == "none" ? Transform(s.model->preprocess)
                                            : Transform(s.model->preprocess, augment_named(o.augment));
  s.training = std::make_unique<Loader>(s.data.train, transform, options);
}

std::vector<float> balanced_weights(const Dataset& data) {
  std::vector<float> weights;
  double mean = double(data.samples.size()) / double(data.classes.size());
  for (int64_t size : data.class_sizes()) weights.push_back(size ? float(mean / double(size)) : 1);
  return weights;
}

void make_settings(Session& s) {
  const TrainOptions& o = s.options;
  s.settings.epochs = o.epochs;
  s.settings.seed = o.common.seed;
  s.settings.schedule = schedule_of(o, s.training->batches());
  s.settings.loss.label_smoothing = float(o.label_smoothing);
  if (o.class_weights == "balanced") s.settings.loss.class_weights = balanced_weights(s.data.train);
  else if (o.class_weights != "none")
    fail(Fault::usage, "--class-weights: '{}' is unknown; use none or balanced", o.class_weights);
}

// ---- saving and resuming ----------------------------------------------------------------------

std::string fingerprint(const Session& s) {
  return fmt::format("{:016x}{:016x}", s.data.train.fingerprint(), s.data.val.fingerprint());
}

ModelFile model_file(Session& s, bool with_golden) {
  ModelFile file = to_file(*s.model);
  file.freeze_plan = FreezePlan::parse(s.options.freeze).text();
  file.origin = s.origin;
  file.frozen_hashes = s.frozen_hashes;
  if (with_golden) file.golden = make_golden(*s.model);
  return file;
}

void save_checkpoint(Session& s, RunFolder& run) {
  run.save(run.checkpoint(), [&] {
    Checkpoint c;
    c.model = model_file(s, false);
    c.optimizer = s.optimizer->state();
    c.text["options"] = s.options.to_json().dump();
    c.integers["threads"] = cpu::thread_count();
    c.text["data"] = fingerprint(s);
    put_progress(c, s.progress);
    write_checkpoint(run.checkpoint(), c);
    std::error_code ignored;  // the previous one is of another run, which this one replaces
    if (s.replaces) std::filesystem::remove(previous_checkpoint(run.checkpoint()), ignored);
    s.replaces = false;
  });
}

void resume(Session& s, const Checkpoint& c) {
  auto data = c.text.find("data");
  if (data == c.text.end() || data->second != fingerprint(s)) {
    if (!s.options.force)
      fail(Fault::data, "--resume: the images in {} are not those of the stopped run; put them "
           "back, or go on all the same with --force", printable(s.options.data));
    say("warning: --force: the images have changed since the run was stopped");
  }
  s.progress = get_progress(c);
  s.optimizer->load_state(c.optimizer, s.progress.step);
}

// Frozen means frozen: every hash after training must be what it was before.
void prove_frozen(Session& s) {
  for (auto& [name, hash] : hash_frozen(*s.model)) {
    if (s.frozen_hashes.at(name) != hash)
      fail(Fault::internal, "frozen tensor {} was changed by training; please report this", name);
  }
}

// ---- report -----------------------------------------------------------------------------------

Json report(Session& s, const RunFolder& run) {
  const Progress& p = s.progress;
  Json epochs = Json::array();
  for (const EpochRecord& r : p.history) epochs.push_back(Json::parse(event_of(r)));
  int64_t trained = s.optimizer->parameters();
  return {{"val_accuracy", p.best_accuracy},
          {"epochs", epochs},
          {"images_per_second", p.train_seconds > 0 ? double(p.trained_images) / p.train_seconds : 0},
          {"seconds", {{"load", s.load_seconds}, {"train", p.train_seconds},
                       {"eval", p.eval_seconds}, {"total", seconds_since_start()}}},
          {"peak_rss_mb", peak_rss_mb()},
          {"frozen_parameters", parameter_count(*s.model) - trained},
          {"trained_parameters", trained},
          {"model", run.model().string()},
          {"classes", s.model->class_names},
          {"bad_images", s.training->bad_files().size() + s.validation->bad_files().size()}};
}

// ---- the command ------------------------------------------------------------------------------

std::optional<LoadedCheckpoint> stopped_run(Session& s, std::optional<RunFolder>& run,
                                            const CLI::App& command) {
  if (!s.options.resume) return {};
  if (!RunFolder::has_checkpoint(s.options.out))
    fail(Fault::no_input, "--resume: there is no checkpoint in {}; start the run without --resume",
         printable(s.options.out));
  run.emplace(s.options.out);
  LoadedCheckpoint stopped = read_checkpoint(run->checkpoint());
  if (!stopped.notice.empty()) say("warning: " + stopped.notice);
  restore(s.options, Json::parse(stopped.checkpoint.text.at("options")), command);
  auto threads = stopped.checkpoint.integers.find("threads");  // sums depend on them in the last bit
  if (command.count("--threads") == 0 && threads != stopped.checkpoint.integers.end())
    cpu::set_thread_count(int(std::clamp<int64_t>(threads->second, 1, 1024)));
  return stopped;
}

// A new run makes its folder last, so that a mistake in the options leaves none behind.
void open_folder(Session& s, std::optional<RunFolder>& run) {
  if (!run) {
    s.replaces = RunFolder::has_checkpoint(s.options.out);
    run.emplace(s.options.out);
    if (s.replaces)
      say(fmt::format("warning: this replaces the run in {}; to go on with that one, stop now and "
                      "use --resume", printable(s.options.out)));
  }
  run->open_events(s.progress.history);
}

void prepare(Session& s, std::optional<RunFolder>& run, const CLI::App& command) {
  std::optional<LoadedCheckpoint> stopped = stopped_run(s, run, command);
  if (s.options.data.empty())
    fail(Fault::usage, "--data is missing: a folder of images or a CSV file");
  FreezePlan plan = FreezePlan::parse(s.options.freeze);
  if (stopped) {
    s.model = from_file(stopped->checkpoint.model);
    s.origin = stopped->checkpoint.model.origin;
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
  freeze(*s.model, plan);
  if (parameter_count(*s.model, true) == 0)
    fail(Fault::usage, "--freeze {}: leaves nothing to learn; spare some layers, or measure the "
         "model as it is with graft eval", s.options.freeze);
  s.optimizer = std::make_unique<Optimizer>(*s.model, optimizer_options(s.options));
  make_loaders(s);
  make_settings(s);
  if (stopped) resume(s, stopped->checkpoint);
  s.frozen_hashes = stopped ? stopped->checkpoint.model.frozen_hashes : hash_frozen(*s.model);
  open_folder(s, run);
}

int run_train(TrainOptions options, const CLI::App& command) {
  apply(options.common);
  check_together(options, command);
  Session s;
  s.options = std::move(options);
  std::optional<RunFolder> folder;
  prepare(s, folder, command);
  RunFolder& run = *folder;
  defer_signals();
  s.load_seconds = seconds_since_start();
  show_plan(*s.model, s.options.freeze, int64_t(s.data.train.samples.size()),
            int64_t(s.data.val.samples.size()));

  BadImages bad_training(*s.training), bad_validation(*s.validation);
  ProgressLine line;
  auto step_done = [&] {
    line.update(s.progress.epoch + 1, s.settings.epochs, s.progress.batch, s.training->batches(),
                s.progress.images ? s.progress.loss_sum / double(s.progress.images) : 0);
  };
  auto epoch_done = [&] {
    const EpochRecord& r = s.progress.history.back();
    line.finish(fmt::format("epoch {:3}/{}  train loss {:.4f}  val loss {:.4f}  val accuracy "
                            "{:.4f}  {:.1f} s", r.epoch, s.settings.epochs, r.train_loss,
                            r.val_loss, r.val_accuracy, r.seconds));
    bool best = r.val_accuracy > s.progress.best_accuracy;
    s.progress.best_accuracy = std::max(s.progress.best_accuracy, r.val_accuracy);
    if (best) run.save(run.model(), [&] { write_model_file(run.model(), model_file(s, true)); });
    save_checkpoint(s, run);
    run.log(event_of(r));
  };
  bool finished = train(*s.model, *s.optimizer, *s.training, s.validation.get(), s.settings,
                        s.progress, {step_done, epoch_done, [] { return stop_signal() != 0; }});
  if (!finished) {
    save_checkpoint(s, run);
    if (run.last_save_failed()) return int(Fault::io);
    say(fmt::format("stopped; go on with: graft train --resume --out {}", printable(s.options.out)));
    return 128 + stop_signal();
  }
  prove_frozen(s);
  if (s.options.common.json) print(report(s, run));
  else print(fmt::format("best validation accuracy {:.4f}; model in {}", s.progress.best_accuracy,
                         printable(run.model().string())));
  return run.last_save_failed() ? int(Fault::io) : 0;
}

}  // namespace

Run add_train(CLI::App& program) {
  CLI::App* command = program.add_subcommand("train", "Train a classifier on your images");
  auto options = std::make_shared<TrainOptions>();
  add_train_options(*command, *options);
  command->footer(kFooter);
  return [options, command] { return run_train(*options, *command); };
}

}  // namespace graft::app
