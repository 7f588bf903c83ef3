// graft predict: what single images show.
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/training.h"
#include "apps/trunk_precision.h"
#include "core/autograd.h"
#include "io/source_file.h"
#include "kernels/runtime.h"
#include "models/saved.h"

namespace graft::app {
namespace {

constexpr const char* kPredictFooter = R"(Example:
  graft predict --weights run/model.h5 photo.jpg other.png)";

struct PredictOptions {
  Common common;
  std::string weights, model, tta = "none", trunk_precision = "f32";
  PlaceOptions place;
  std::vector<std::string> images;
  int top = 5;
  bool strict = false, verify = false;
};

struct Ranked {
  std::string name;
  float probability;
};

Tensor pixels_of(const std::string& path, const Transform& transform) {
  int side = transform.size();
  Tensor pixels({1, side, side, 3}, DType::u8);
  std::vector<uint8_t> bytes = read_source(path);
  transform.run(bytes, escaped(path), {}, Random(0, "predict"), pixels.mutable_data<uint8_t>());
  return pixels;
}

std::vector<Ranked> classify(Classifier& model, const Tensor& pixels, int top, Views views) {
  Tensor probabilities = softmax(outputs_of(model, {.images = pixels}, {}, views));
  const float* p = probabilities.data();
  std::vector<int64_t> order(probabilities.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  size_t count = std::min<size_t>(size_t(top), order.size());
  std::partial_sort(order.begin(), order.begin() + count, order.end(), [p](int64_t a, int64_t b) {
    return p[a] != p[b] ? p[a] > p[b] : a < b;
  });
  std::vector<Ranked> ranked;
  for (size_t i = 0; i < count; ++i) {
    bool named = !model.class_names.empty();
    ranked.push_back({named ? model.class_names[order[i]] : std::to_string(order[i]), p[order[i]]});
  }
  return ranked;
}

[[noreturn]] void refuse_image(const std::string& file) {
  fail(Fault::os, "{}: one image does not fit into the memory of the CUDA device; --device cpu does "
       "without", printable(file));
}

void report(Json& document, const Common& common, const std::string& file,
            const std::vector<Ranked>& ranked) {
  if (!common.json) {
    print(printable(file));
    for (const Ranked& r : ranked)
      print(fmt::format("  {:6.2f} %  {}", 100 * r.probability, printable(r.name)));
    return;
  }
  Json classes = Json::array();
  for (const Ranked& r : ranked) classes.push_back({{"name", r.name}, {"probability", r.probability}});
  document.push_back({{"file", file}, {"classes", classes}});
}

int run_predict(const PredictOptions& o) {
  apply(o.common);
  const Views views = views_named(o.tta);
  const Place where(o.common, o.place);
  Adopted adopted = adopt(o.weights, o.model);
  Classifier& model = *adopted.model;
  if (o.verify) require_golden(adopted, o.weights);
  where.bring(model);
  settle_trunk_precision(o.trunk_precision, where, adopted);
  NoGrad no_grad;
  model.eval();
  Transform transform(model.preprocess);
  Json document = Json::array();
  int code = 0;
  for (const std::string& file : o.images) {
    try {
      report(document, o.common, file, classify(model, pixels_of(file, transform), o.top, views));
    } catch (const Error& e) {
      if (o.strict || o.images.size() == 1 || e.fault == Fault::io) throw;
      say(std::string("graft: skipped: ") + e.what());
      code = int(e.fault);
    } catch (const cuda::OutOfMemory&) {
      refuse_image(file);
    }
  }
  if (o.common.json) print(document);
  return code;
}

}  // namespace

Run add_predict(CLI::App& program) {
  Command c(program, "predict", "Say what images show");
  auto o = std::make_shared<PredictOptions>();
  c.required("--weights", o->weights, "Model file, or weights with --model");
  c.text("--model", o->model, "Architecture, when the file does not say it");
  c.required("images", o->images, "Image files");
  c.integer("--top", o->top, 1, 1000, "How many classes to show");
  c.flag("--strict", o->strict, "Stop at the first bad image");
  c.flag("--verify", o->verify, "Replay the golden input of the weights first");
  c.text("--tta", o->tta, "flip: the mean of the probabilities of the image and its mirror (Krizhevsky "
         "et al., NeurIPS 2012); none");
  add_place(c, o->place);
  add_trunk_precision(c, o->trunk_precision, "convolutions that the model file's freeze plan keeps, or the "
                      "trunk where there is none");
  add_common(c, o->common);
  c.footer(kPredictFooter);
  return [o] { return run_predict(*o); };
}

}  // namespace graft::app
