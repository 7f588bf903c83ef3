#include "models/foreign/onnx_export.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "core/autograd.h"
#include "models/foreign/onnx_builder.h"

namespace graft {
namespace {

struct Traced {
  Tensor input, logits;
  std::vector<TracedOp> steps;
  bool read;  // somebody looked at values that are not there
};

Traced trace(Classifier& model, int64_t images, int64_t side) {
  NoGrad no_grad;
  const bool was_training = model.training();
  model.eval();
  Trace trace;
  Traced result{.input = trace.input({images, side, side, 3})};
  try {
    result.logits = model.head(model.hidden(model.trunk(result.input)));
  } catch (...) {
    model.train(was_training);
    throw;
  }
  model.train(was_training);
  result.steps = trace.steps();
  result.read = trace.values_were_read();
  return result;
}

// Traced with two images and with three: a dimension that differs is of the images.
Shape free_shape(const Tensor& two, const Tensor& three) {
  Shape shape = two.shape();
  bool alike = two.rank() == three.rank();
  for (size_t i = 0; alike && i < shape.size(); ++i) {
    const int64_t a = two.shape()[i], b = three.shape()[i];
    alike = a == b || a * 3 == b * 2;
    if (a != b) shape[i] = -1;
  }
  GRAFT_CHECK(alike, "onnx: a value is {} for two images, {} for three", two.shape(),
              three.shape());
  return shape;
}

std::string numbers(const std::array<float, 3>& values) {
  return fmt::format("[{}]", fmt::join(values, ", "));
}

std::string names(const std::vector<std::string>& values) {
  using nlohmann::json;
  return json(values).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::map<std::string, std::string> metadata_of(const Classifier& model) {
  const Preprocess& p = model.preprocess;
  std::map<std::string, std::string> all{
      {"architecture", model.architecture}, {"mean", numbers(p.mean)}, {"std", numbers(p.std)},
      {"scale", fmt::format("{}", p.scale)}, {"channels", p.bgr ? "BGR" : "RGB"},
      {"resize", std::to_string(p.resize)}, {"resize_rule", p.resize_rule},
      {"crop", std::to_string(p.crop)}, {"interpolation", name_of(p.interpolation)}};
  if (!model.class_names.empty()) all["classes"] = names(model.class_names);
  if (!model.class_ids.empty()) all["class_ids"] = names(model.class_ids);
  return all;
}

}  // namespace

OnnxGraph to_onnx(Classifier& model, int64_t side) {
  if (model.head_form().kind == HeadForm::Kind::neighbours)
    fail(Fault::usage, "onnx: votes of stored images are not exported; train with --head linear");
  const Traced two = trace(model, 2, side), three = trace(model, 3, side);
  const bool alike = std::equal(
      two.steps.begin(), two.steps.end(), three.steps.begin(), three.steps.end(),
      [](const TracedOp& a, const TracedOp& b) {
        return std::string_view(a.name) == b.name && a.inputs.size() == b.inputs.size();
      });
  GRAFT_CHECK(alike, "onnx: the network does other things for three images than for two");
  OnnxBuilder graph(model);
  graph.declare(two.input, free_shape(two.input, three.input));
  graph.set_input(two.input);
  for (size_t i = 0; i < two.steps.size(); ++i) {
    const TracedOp& op = two.steps[i];
    for (size_t j = 0; j < op.inputs.size(); ++j) {
      const Tensor &in = op.inputs[j], &again = three.steps[i].inputs[j];
      if (in.defined() && !graph.is_value(in) && in.shape() != again.shape())
        graph.repeat(in, free_shape(in, again));
    }
    graph.declare(op.output, free_shape(op.output, three.steps[i].output));
    add_to_onnx(op, graph);
  }
  GRAFT_CHECK(!two.read, "onnx: {} computes with the values of an image in a way that is no "
              "operation of core/ops.h", model.architecture);
  OnnxGraph result = graph.take(two.logits);
  result.metadata = metadata_of(model);
  return result;
}

}  // namespace graft
