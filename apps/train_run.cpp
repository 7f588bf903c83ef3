#include "apps/train_run.h"

#include <algorithm>

#include "core/text.h"
#include "kernels/parallel.h"
#include "layers/batch_norm.h"
#include "models/saved.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

bool same_names(std::vector<std::string> a, std::vector<std::string> b) {
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  return a == b;
}

bool uses_batch_statistics(Classifier& model) {
  bool any = false;
  model.train();
  each_module(model, [&](auto&, Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) any |= norm->uses_batch_statistics();
  });
  return any;
}

LoaderOptions loader_options(const TrainOptions& o) {
  LoaderOptions options;
  options.batch = o.batch;
  options.seed = o.common.seed;
  options.threads = o.loader_threads >= 0 ? int(o.loader_threads) : cpu::thread_count();
  options.strict = o.strict;
  options.max_bad_fraction = o.max_bad_images;
  options.cache_bytes = (o.cache_mb << 20) / 4;
  return options;
}

}  // namespace

void load_weights(TrainRun& s) {
  const TrainOptions& o = s.options;
  if (o.weights == "none") {
    if (o.model.empty()) fail(Fault::usage, "--weights none needs --model NAME; see graft models");
    std::string network = network_option(o.model, o.until);
    s.model = make_model(network, zoo_row(network).classes, o.common.seed);
    s.origin["weights"] = "none";
    return;
  }
  Adopted adopted = adopt(o.weights, network_option(o.model, o.until),
                          {o.partial, o.allow_nonfinite});
  if (!adopted.report.complete())
    say(fmt::format("{}: {}", printable(o.weights), adopted.report.text()));
  if (o.verify) require_golden(adopted, o.weights);
  s.model = std::move(adopted.model);
  s.origin = std::move(adopted.file.origin);
  s.origin["weights"] = o.weights;
}

// As asked, else as in the weights; stored images are of other photographs, unless asked for anew.
HeadForm head_form(const TrainRun& s) {
  using Kind = HeadForm::Kind;
  HeadForm form = s.options.head.empty() ? s.model->head_form() : HeadForm::parse(s.options.head);
  if (form.kind != Kind::neighbours) return form;
  if (s.options.head.empty()) return {};
  form.stored = int64_t(s.data.train.samples.size());  // less those that cannot be read, once known
  return form;
}

void fit_head(TrainRun& s) {
  const std::vector<std::string>& classes = s.data.train.classes;
  const HeadForm form = head_form(s);
  if (s.model->class_names == classes && s.model->head_form() == form) return;
  int64_t before = s.model->classes();
  s.model->replace_head(int64_t(classes.size()), s.options.common.seed, form);
  s.new_head = s.options.weights != "none";
  if (!s.new_head) initialize(*s.model, s.options.common.seed);  // there is no trunk to spare
  s.model->class_names = classes;
  say(fmt::format("new head {}{}: {} -> {} classes ({})", s.model->head_path(),
                  form == HeadForm{} ? "" : ", " + form.text(), before, classes.size(),
                  enumerate(printable(classes), 8)));
}

void open_data(TrainRun& s) {
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

// Whether or not it is cached, an image gets the same bits.
void open_cache(TrainRun& s) {
  s.training.reset(), s.validation.reset();  // which look into the cache of the phase before
  s.cache.reset();
  s.settings.input = {};
  s.model->images_at_a_time(s.model->part_for(s.options.batch));
  s.cache = TrainCache::open(s.phase().options, *s.model, s.data);
  if (s.cache) s.settings.input = s.cache->input();
}

// Batches come to where the network is. Of a CUDA device's memory decoded images get a part for each
// loader, when this transform can be done there and nobody else looks at the pixels.
void bring_batches(const TrainRun& s, const Transform& transform, LoaderOptions& loader) {
  const TrainOptions& o = s.options;
  loader.device = s.place.device;
  if (loader.device == Device::cpu || loader.known || !transform.only_cuts()) return;
  const int64_t all = o.device_cache_mb < 0 ? int64_t(cuda_device_bytes()) / 4 : o.device_cache_mb << 20;
  loader.device_bytes = transform.random() ? all / 4 * 3 : all / 4;
}

std::unique_ptr<Loader> validation_loader(const TrainRun& s, TrainCache* cache) {
  LoaderOptions options = loader_options(s.options);
  const Transform transform(s.model->preprocess);
  if (cache) cache->join(options, false);
  bring_batches(s, transform, options);
  return std::make_unique<Loader>(s.data.val, transform, options);
}

void make_loaders(TrainRun& s) {
  const TrainOptions& o = s.phase().options;
  s.validation = validation_loader(s, s.cache.get());
  LoaderOptions options = loader_options(o);
  bool solved = o.head_solver != "sgd";
  options.shuffle = !solved;
  options.balanced = o.recipes.sampling == "balanced";
  options.cache_bytes = (o.cache_mb << 20) / 4 * 3;
  bool batch_statistics = uses_batch_statistics(*s.model);
  if (batch_statistics && (o.batch < 2 || s.data.train.samples.size() < 2))
    fail(Fault::usage, "--batch {}: batch norm cannot learn from one image; use a larger --batch, "
         "or freeze the norms with --freeze {},bn=frozen", o.batch, o.freeze);
  if (batch_statistics && o.batch < 8)
    say("warning: batch norm learns badly from fewer than 8 images; consider bn=frozen");
  options.min_last_batch = batch_statistics ? 2 : 1;
  Transform transform = o.augment == "none" || solved ? Transform(s.model->preprocess)
                                            : Transform(s.model->preprocess, augment_named(o.augment));
  options.views = o.cache_views;
  if (s.cache) s.cache->join(options, true);
  bring_batches(s, transform, options);
  s.training = std::make_unique<Loader>(s.data.train, transform, options);
}

Tensor balanced_weights(const Dataset& data) {
  std::vector<float> weights;
  double mean = double(data.samples.size()) / double(data.classes.size());
  for (int64_t size : data.class_sizes()) weights.push_back(size ? float(mean / double(size)) : 1);
  return Tensor::from<float>({int64_t(weights.size())}, weights);
}

void make_settings(TrainRun& s) {
  const TrainOptions& o = s.phase().options;
  s.settings.epochs = o.head_solver == "sgd" ? o.epochs : 1;
  s.settings.seed = o.common.seed;
  s.settings.schedule = schedule_of(o, s.training->batches());
  s.settings.mix = {o.recipes.mixup, o.recipes.cutmix};
  s.settings.patience = o.recipes.patience;
  s.settings.phase = s.phase().name;
  s.settings.first_epoch = s.phase().first_epoch;
  s.settings.first_step = s.phase().first_epoch * s.training->batches();
  s.settings.cuda_graph = o.cuda_graph == "on";
  s.settings.loss.label_smoothing = float(o.label_smoothing);
  if (o.class_weights == "balanced")
    s.settings.loss.class_weights = balanced_weights(s.data.train).to(s.place.device);
  else if (o.class_weights != "none")
    fail(Fault::usage, "--class-weights: '{}' is unknown; use none or balanced", o.class_weights);
}

std::string launch_plan(const TrainRun& s) {
  if (s.place.device == Device::cpu || s.phase().options.head_solver != "sgd") return "";
  if (!s.settings.cuda_graph) return "steps are queued call by call (--cuda-graph off)";
  return "steps are launched as a whole, as a CUDA graph, once their shapes come again";
}

}  // namespace graft::app
