#include "apps/train_options.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/trunk_precision.h"
#include "core/check.h"

namespace graft::app {
namespace {

// Calls field(name, member) for everything that decides what a run computes.
template <class Options, class Field> void each_setting(Options& o, const Field& field) {
  field("model", o.model), field("until", o.until);
  field("weights", o.weights), field("data", o.data);
  field("freeze", o.freeze), field("partial", o.partial), field("strict", o.strict);
  field("allow-nonfinite", o.allow_nonfinite);
  field("allow-single-class", o.allow_single_class), field("allow-empty", o.allow_empty);
  field("epochs", o.epochs), field("batch", o.batch), field("lr", o.lr);
  field("momentum", o.momentum), field("weight-decay", o.weight_decay);
  field("clip-norm", o.clip_norm), field("nesterov", o.nesterov), field("decay-all", o.decay_all);
  field("optimizer", o.optimizer), field("schedule", o.schedule), field("augment", o.augment);
  field("class-weights", o.class_weights), field("warmup-epochs", o.warmup_epochs);
  field("step-epochs", o.step_epochs), field("gamma", o.gamma);
  field("label-smoothing", o.label_smoothing), field("val-split", o.val_split);
  field("head", o.head), field("head-solver", o.head_solver),
  field("neighbours", o.neighbours), field("solver-iterations", o.solver_iterations);
  field("precision", o.place.precision);
  field("trunk-precision", o.trunk_precision);
  field("max-bad-images", o.max_bad_images), field("image-size", o.image_size);
  field("seed", o.common.seed), field("cache-views", o.cache_views);
  each_recipe_setting(o.recipes, field);
}

bool probe_is_solved(const TrainOptions& o) {
  return o.recipes.recipe == "lp-ft" && o.recipes.probe_epochs == 0;
}

}  // namespace

Json TrainOptions::to_json() const {
  Json json;
  each_setting(*this, [&](const char* name, const auto& value) { json[name] = value; });
  return json;
}

void settle_solver(TrainOptions& o, const Command& command) {
  if (o.head_solver != "sgd" && o.head_solver != "lbfgs" && o.head_solver != "ridge")
    fail(Fault::usage, "--head-solver: '{}' is unknown; use sgd, lbfgs or ridge", o.head_solver);
  if (o.head.empty() || HeadForm::parse(o.head).kind != HeadForm::Kind::neighbours) return;
  if (command.given("--head-solver"))
    fail(Fault::usage, "--head-solver {} and --head {} contradict each other: its images are stored, "
         "there is nothing to solve; leave one out", o.head_solver, o.head);
  o.head_solver = "knn";
}

void check_together(const TrainOptions& o, const Command& command) {
  const bool stored = o.head_solver == "knn", ridge = o.head_solver == "ridge";
  const HeadForm head = o.head.empty() ? HeadForm{} : HeadForm::parse(o.head);
  const std::string solver = stored ? "--head " + o.head : "--head-solver " + o.head_solver;
  auto clash = [&](const char* given, bool with, const char* other, const char* why) {
    if (command.given(given) && with)
      fail(Fault::usage, "{} and {} contradict each other: {}; leave one out", given, other, why);
  };
  clash("--strict", command.given("--max-bad-images"), "--max-bad-images", "strict allows none");
  if (o.force && !o.resume) fail(Fault::usage, "--force has a meaning with --resume only; add it");
  check_recipe(o.recipes, {o.head_solver == "sgd", solver, o.weights == "none", o.resume,
                           o.class_weights == "balanced"}, command);
  if (o.resume) return;  // what is given now is compared with the stopped run instead
  clash("--partial", o.weights == "none", "--weights none", "there are no weights to accept");
  clash("--allow-nonfinite", o.weights == "none", "--weights none", "there are no weights to accept");
  clash("--verify", o.weights == "none", "--weights none", "there are no weights to verify");
  clash("--momentum", o.optimizer == "adamw", "--optimizer adamw", "it has momenta of its own");
  for (const char* loop : {"--epochs", "--lr", "--optimizer", "--momentum", "--nesterov", "--schedule",
                           "--warmup-epochs", "--clip-norm", "--decay-all"})
    clash(loop, o.head_solver != "sgd", solver.c_str(),
          "nothing is trained step by step");
  clash("--head", o.head_solver != "sgd" && !stored && head != HeadForm{}, solver.c_str(),
        "it solves for one matrix");
  clash("--neighbours", o.head_solver == "sgd", "--head-solver sgd", "it computes no features once");
  clash("--solver-iterations", o.head_solver != "lbfgs" && !probe_is_solved(o), solver.c_str(),
        "only lbfgs iterates");
  clash("--label-smoothing", ridge, "--head-solver ridge", "its loss is the square");
  clash("--class-weights", ridge, "--head-solver ridge", "its loss is the square, of all images alike");
  for (const char* unused : {"--weight-decay", "--label-smoothing", "--class-weights"})
    clash(unused, stored, solver.c_str(), "each vote counts as it is");
  clash("--weight-decay", o.head_solver != "sgd" && o.weight_decay == 0,
        solver.c_str(), "without decay a head has no solution where the "
        "images of the classes can be told apart");
  clash("--augment", o.head_solver != "sgd" && o.augment != "none",
        solver.c_str(), "it sees each image once, as it is");
  clash("--cache-views", o.head_solver != "sgd", solver.c_str(), "there is one view of an image");
  clash("--cache-views", o.augment == "none", "--augment none", "there is one view of an image");
  clash("--gamma", o.schedule != "step", ("--schedule " + o.schedule).c_str(), "only step drops");
  clash("--step-epochs", o.schedule != "step", ("--schedule " + o.schedule).c_str(),
        "only step drops");
  bool split = std::filesystem::is_directory(o.data + "/train") &&
               std::filesystem::is_directory(o.data + "/val");
  clash("--val-split", split, ("--data " + o.data).c_str(), "it has a val folder already");
}

void restore(TrainOptions& options, const Json& saved, const Command& command) {
  each_setting(options, [&](const char* name, auto& value) {
    if (!saved.contains(name)) return;
    auto before = saved[name].get<std::decay_t<decltype(value)>>();
    bool given = command.given(std::string("--") + name);
    if (given && std::string_view(name) == "data") return;
    if (given && before != value)
      fail(Fault::usage, "--resume goes on with --{} {}, but --{} {} was given; leave it out, or "
           "start a new run with another --out", name, Json(before).dump(), name,
           Json(value).dump());
    value = before;
  });
}

void add_train_options(Command& c, TrainOptions& o) {
  c.text("--model", o.model, "What to build; not needed when the weights say it");
  add_until(c, o.until);
  c.text("--weights", o.weights, "File to start from, or none: from scratch");
  c.text("--data", o.data, "Folder with train/ and val/, or with classes, or a CSV file");
  c.text("--out", o.out, "Folder of the run: model.h5, of the best epoch (Prechelt 1998); checkpoint.h5, of "
         "the last; events.jsonl");
  c.text("--freeze", o.freeze, "What stays: trunk (all but the head), until:LAYER, none, 60%, "
         "globs like layer1 or *.bias, !glob to except, bn=frozen|affine|stats|train of all norms, or "
         "bn=affine@layer4 of some (stats alone: AdaBN, Li et al., Pattern Recognition 2018); bias-only "
         "(BitFit: Zaken et al., ACL 2022), norm-only (Frankle et al., ICLR 2021), both with the "
         "head; from scratch: none");
  c.flag("--resume", o.resume, "Go on with the run in --out where it stopped, bit for bit; with as "
         "many threads as before, unless --threads says otherwise");
  c.integer("--epochs", o.epochs, 1, 1'000'000, "Passes over the training images");
  c.integer("--batch", o.batch, 1, 65536, "Images per step");
  c.number("--lr", o.lr, 1e-12, 1e6, "Learning rate at its highest");
  c.text("--optimizer", o.optimizer, "sgd or adamw");
  c.text("--head", o.head, "Form of the head: linear, mlp:WIDTH (two matrices, a ReLU between; on features that "
         "stay little better than one: Kolesnikov et al., CVPR 2019), cosine (Chen et al., ICLR 2019) or "
         "knn:K (the features of the training images are stored, and the K nearest by cosine vote: Wu et "
         "al., CVPR 2018); when not given that of --weights, which is linear where they were published");
  c.text("--head-solver", o.head_solver, "sgd: the loop of epochs; lbfgs and ridge compute the "
         "features once and solve for the head, for --freeze trunk, on the images as they are. "
         "lbfgs: logistic regression (Kornblith et al., CVPR 2019), --weight-decay is by default 0.01, "
         "on features of variance 1; ridge: least squares in closed form (Rifkin and Klautau, JMLR "
         "2004), --weight-decay is by default what leaves each image to the others with the least error");
  c.integer("--solver-iterations", o.solver_iterations, 1, 1'000'000, "lbfgs: at most so many; it is an "
            "error when they are not enough");
  c.integer("--neighbours", o.neighbours, 0, 100'000, "With a head solver: so many nearest "
            "neighbours by cosine vote as well, for comparison (Wu et al., CVPR 2018)");
  c.number("--momentum", o.momentum, 0, 0.9999, "Of SGD");
  c.flag("--nesterov", o.nesterov, "Nesterov's momentum");
  c.number("--weight-decay", o.weight_decay, 0, 1, "Pull towards zero");
  c.flag("--decay-all", o.decay_all, "Decay biases and norms too");
  c.number("--clip-norm", o.clip_norm, 0, 1e6, "Largest norm of the gradient; 0: any");
  c.text("--schedule", o.schedule, "constant, step, cosine or one-cycle");
  c.number("--warmup-epochs", o.warmup_epochs, 0, 1e6, "The rate rises linearly first");
  c.number("--step-epochs", o.step_epochs, 1e-3, 1e6, "step: epochs between two drops");
  c.number("--gamma", o.gamma, 1e-6, 1, "step: factor of a drop");
  c.number("--label-smoothing", o.label_smoothing, 0, 0.999, "Of the loss");
  c.text("--class-weights", o.class_weights, "none, or balanced: each class counts the same in the loss "
         "(King and Zeng, Political Analysis 2001)");
  c.text("--augment", o.augment, "none, standard (random crop and flip) colour (and brightness, "
         "contrast, saturation, hue) or rand (and two of RandAugment's fourteen changes, of "
         "strength 9; Cubuk et al., NeurIPS 2020)");
  c.integer("--image-size", o.image_size, 0, 4096, "Side in pixels; 0: the model's own");
  c.number("--val-split", o.val_split, 0, 0.9, "Part held back, by a hash of the file name, when "
           "the data has no val/");
  c.number("--max-bad-images", o.max_bad_images, 0, 1, "Part that may fail to decode");
  c.flag("--strict", o.strict, "Refuse the first bad image instead of skipping it");
  c.flag("--partial,--allow-partial", o.partial, "Accept weights that lack tensors or have others");
  c.flag("--allow-nonfinite", o.allow_nonfinite, "Accept weights that are NaN or infinite");
  c.flag("--verify", o.verify, "Replay the golden input of the weights first");
  c.flag("--allow-single-class", o.allow_single_class, "Train on one class only");
  c.flag("--allow-empty", o.allow_empty, "Accept class folders without images");
  c.flag("--force", o.force, "--resume even if the data has changed");
  c.one_of("--table", o.table, {"blocks", "layers"}, "Rows of the table of what learns, and of \"plan\" in --json");
  c.integer("--loader-threads", o.loader_threads, -1, 1024, "Decoding threads; -1: as needed");
  c.integer("--cache-mb", o.cache_mb, 0, 1 << 20, "Memory for decoded images");
  c.integer("--device-cache-mb", o.device_cache_mb, -1, 1 << 20, "On a CUDA device: its memory for decoded "
            "images, from which it then cuts each batch itself; -1: a quarter; 0: none");
  c.one_of("--cuda-graph", o.cuda_graph, {"on", "off"}, "On a CUDA device: on: a step is captured "
           "when its shapes come again, and from then on launched as a whole, with the same bits");
  c.text("--cache", o.cache, "Compute once what stays of the network, for each image whose pixels "
         "come again (to validate; to train, unless --augment makes new ones): memory, or a folder that "
         "later runs find, which is read into memory all the same and written at the end of an epoch, when "
         "there is much that is new, and of the run; auto: memory; off");
  c.integer("--cache-views", o.cache_views, 0, 1'000'000, "Augmented views of an image that take "
            "turns by epoch, drawn by its place among the others: where images come or go, most are "
            "computed anew; 0: new ones in every epoch");
  c.integer("--cache-limit", o.cache_limit, 0, 1 << 24, "MB that --cache may take, of memory and of the "
            "folder; of memory never more than half of what is free");
  add_recipe_options(c, o.recipes);
  add_place(c, o.place);
  add_trunk_precision(c, o.trunk_precision, "convolutions that are frozen; what is saved is measured in both");
  add_common(c, o.common);
}

Augment augment_named(const std::string& name) {
  Augment augment;
  if (name == "standard") return augment;
  if (name == "rand") return augment.rand_changes = 2, augment;
  if (name != "colour")
    fail(Fault::usage, "--augment: '{}' is unknown; use none, standard, colour or rand", name);
  augment.brightness = augment.contrast = augment.saturation = 0.4f;
  augment.hue = 0.1f;
  return augment;
}

HeadSolverOptions solver_options(const TrainOptions& o, const CrossEntropySpec& loss) {
  HeadSolverOptions options;
  if (o.weight_decay > 0) options.l2 = o.weight_decay;
  else if (o.head_solver == "ridge") options.l2 = 0;
  options.loss = loss;
  options.lbfgs.max_iterations = int(o.solver_iterations);
  return options;
}

OptimizerOptions optimizer_options(const TrainOptions& o) {
  OptimizerOptions options;
  if (o.optimizer == "adamw") options.kind = OptimizerOptions::Kind::adamw;
  else if (o.optimizer != "sgd")
    fail(Fault::usage, "--optimizer: '{}' is unknown; use sgd or adamw", o.optimizer);
  if (o.nesterov && (o.momentum == 0 || o.optimizer != "sgd"))
    fail(Fault::usage, "--nesterov needs --optimizer sgd and --momentum above 0");
  options.momentum = o.momentum;
  options.nesterov = o.nesterov;
  options.weight_decay = o.weight_decay;
  options.decay_all = o.decay_all;
  options.clip_norm = o.clip_norm;
  return options;
}

Schedule schedule_of(const TrainOptions& o, int64_t steps_per_epoch) {
  auto steps = [&](double epochs) { return int64_t(epochs * double(steps_per_epoch) + 0.5); };
  Schedule schedule;
  schedule.kind = schedule_kind(o.schedule);
  schedule.base = o.lr;
  schedule.total_steps = o.epochs * steps_per_epoch;
  schedule.warmup_steps = steps(o.warmup_epochs);
  schedule.step_every = std::max<int64_t>(steps(o.step_epochs), 1);
  schedule.step_factor = o.gamma;
  if (schedule.warmup_steps > 0 && schedule.kind == Schedule::Kind::one_cycle)
    fail(Fault::usage, "--warmup-epochs and --schedule one-cycle exclude each other: one-cycle "
         "warms up by itself");
  return schedule;
}

}  // namespace graft::app
