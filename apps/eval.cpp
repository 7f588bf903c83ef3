// graft eval: how right a model is on labelled images.
#include <nlohmann/json.hpp>

#include "apps/progress.h"
#include "apps/training.h"
#include "apps/trunk_precision.h"
#include "kernels/parallel.h"
#include "models/saved.h"

namespace graft::app {
namespace {

constexpr const char* kEvalFooter = R"(Example:
  graft eval --weights run/model.h5 --data photos/val)";

struct EvalOptions {
  Common common;
  std::string weights, model, data, tta = "none", trunk_precision = "f32";
  PlaceOptions place;
  int64_t batch = 32;
  bool strict = false, verify = false;
  double max_bad_images = 0.001;
  int64_t loader_threads = -1;
};

Dataset open_data(const EvalOptions& o, const Classifier& model) {
  DatasetOptions options;
  options.allow_single_class = options.allow_empty = true;
  options.names = model.class_names;
  options.aliases = model.class_ids;
  if (options.names.empty()) {  // labels can only be numbers then
    for (int64_t i = 0; i < const_cast<Classifier&>(model).classes(); ++i)
      options.names.push_back(std::to_string(i));
  }
  Dataset data = open_dataset(o.data, options);
  for (const std::string& warning : data.report.warnings) say("warning: " + warning);
  GRAFT_CHECK(!data.samples.empty(), "{}: no images to evaluate on", printable(o.data));
  return data;
}

int run_eval(const EvalOptions& o) {
  apply(o.common);
  const Views views = views_named(o.tta);
  const Place where(o.common, o.place);
  Adopted adopted = adopt(o.weights, o.model);
  Classifier& model = *adopted.model;
  if (o.verify) require_golden(adopted, o.weights);
  where.bring(model);
  settle_trunk_precision(o.trunk_precision, where, adopted);
  model.images_at_a_time(model.part_for(o.batch));  // to the bit what training said of these images
  Dataset data = open_data(o, model);
  LoaderOptions options;
  options.batch = o.batch;
  options.threads = o.loader_threads >= 0 ? int(o.loader_threads) : cpu::thread_count();
  options.strict = o.strict;
  options.max_bad_fraction = o.max_bad_images;
  if (views == Views::one) options.device = where.device;  // images are mirrored on the processor
  Loader loader(data, Transform(model.preprocess), options);
  where.check_batch(model, o.batch, loader.largest_batch());
  BadImages named_at_the_end(loader);
  double begin = now();
  Evaluation result = evaluate(model, loader, {}, {}, views);
  double seconds = now() - begin;
  GRAFT_CHECK(result.images > 0, "{}: no image could be used", printable(o.data));
  double top1 = result.accuracy(), top5 = double(result.top5) / double(result.images);
  if (o.common.json)
    print(Json{{"images", result.images}, {"top1", top1}, {"top5", top5}, {"loss", result.loss},
               {"seconds", seconds}, {"bad_images", loader.bad_files().size()},
               {"peak_rss_mb", peak_rss_mb()}});
  else
    print(fmt::format("{} images  top-1 {:.4f}  top-5 {:.4f}  loss {:.4f}  {:.1f} s", result.images,
                      top1, top5, result.loss, seconds));
  return 0;
}

}  // namespace

Run add_eval(CLI::App& program) {
  Command c(program, "eval", "Measure a model on labelled images");
  auto o = std::make_shared<EvalOptions>();
  c.required("--weights", o->weights, "Model file, or weights with --model");
  c.text("--model", o->model, "Architecture, when the file does not say it");
  c.required("--data", o->data, "Folder with classes (or val/), or a CSV file");
  c.integer("--batch", o->batch, 1, 65536, "Images at a time");
  c.number("--max-bad-images", o->max_bad_images, 0, 1, "Part that may fail to decode");
  c.flag("--strict", o->strict, "Refuse the first bad image instead of skipping it");
  c.flag("--verify", o->verify, "Replay the golden input of the weights first");
  c.integer("--loader-threads", o->loader_threads, -1, 1024, "Decoding threads; -1: as needed");
  c.text("--tta", o->tta, "flip: the mean of the probabilities of each image and its mirror, in "
         "twice the time (Krizhevsky et al., NeurIPS 2012); none");
  add_place(c, o->place);
  add_trunk_precision(c, o->trunk_precision, "convolutions that the model file's freeze plan keeps, or the "
                      "trunk where there is none");
  add_common(c, o->common);
  c.footer(kEvalFooter);
  return [o] { return run_eval(*o); };
}

}  // namespace graft::app
