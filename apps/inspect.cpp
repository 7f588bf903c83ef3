// graft inspect: what is in a file, or what a network is made of.
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/progress.h"
#include "core/text.h"
#include "io/digest.h"
#include "io/tensor_map.h"
#include "models/saved.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

constexpr const char* kInspectFooter = R"(Examples:
  graft inspect run/model.h5
  graft inspect --model resnet18)";

struct InspectOptions {
  Common common;
  std::string file, model;
};

Json layers_json(Classifier& model) {
  Json layers = Json::array();
  for (const FreezeRow& row : freeze_table(model))
    layers.push_back({{"layer", row.layer}, {"is", row.description}, {"parameters", row.parameters},
                      {"trained", row.trained}});
  return layers;
}

std::string layers_text(Classifier& model) {
  std::string text;
  for (const FreezeRow& row : freeze_table(model))
    text += fmt::format("  {:<28} {:>12}  {:<8} {}\n", row.layer, row.parameters,
                        row.trained == 0 ? "frozen" : row.trained == row.parameters ? "trained"
                                                                                  : "partly",
                        row.description);
  return text;
}

Json preprocess_json(const Preprocess& p) {
  return {{"resize", p.resize}, {"rule", p.resize_rule},
          {"interpolation", name_of(p.interpolation)}, {"crop", p.crop}, {"scale", p.scale},
          {"mean", p.mean}, {"std", p.std}, {"channels", p.bgr ? "BGR" : "RGB"}};
}

void require_proof(const ModelFile& file, int64_t hold, const std::string& title) {
  if (size_t(hold) != file.frozen_hashes.size())
    fail(Fault::data, "{}: {} of {} frozen tensors are not what they were before training: do not rely on "
         "what is said to be frozen", title, file.frozen_hashes.size() - size_t(hold), file.frozen_hashes.size());
}

// Hashes in the file against those of the values in the file.
int64_t hashes_that_hold(const ModelFile& file) {
  int64_t hold = 0;
  for (auto& [name, hash] : file.frozen_hashes) {
    auto tensor = file.tensors.find(name);
    hold += tensor != file.tensors.end() && sha256_of(tensor->second) == hash;
  }
  return hold;
}

int inspect_model(Classifier& model, const ModelFile& file, const Common& common,
                  const std::string& title) {
  if (!file.freeze_plan.empty()) freeze(model, file.freeze_plan);
  int64_t hold = hashes_that_hold(file);
  const bool proven = hold > 0 && size_t(hold) == file.frozen_hashes.size();
  if (common.json) {
    Json document{{"architecture", model.architecture}, {"parameters", parameter_count(model)},
                  {"trained_parameters", parameter_count(model, true)},
                  {"classes", model.class_names}, {"class_ids", model.class_ids},
                  {"preprocess", preprocess_json(model.preprocess)},
                  {"freeze", file.freeze_plan}, {"origin", file.origin},
                  {"frozen_tensors", file.frozen_hashes.size()}, {"frozen_tensors_proven", hold},
                  {"frozen_digest", digest_of(file.frozen_hashes)},
                  {"proven", proven}, {"golden", file.golden.has_value()},
                  {"layers", layers_json(model)}};
    print(document);
    return require_proof(file, hold, title), 0;
  }
  const Preprocess& p = model.preprocess;
  std::string text = fmt::format("{}: {}, {} parameters\n{}", title, model.architecture,
                                 parameter_count(model), layers_text(model));
  if (!model.class_names.empty())
    text += fmt::format("classes   {}: {}\n", model.class_names.size(),
                        enumerate(printable(model.class_names), 12));
  text += fmt::format("input     short side {}, {}, crop {}, {}\n", p.resize, name_of(p.interpolation),
                      p.crop, p.bgr ? "BGR" : "RGB");
  if (!file.freeze_plan.empty())
    text += fmt::format("freeze    {}; {} of {} frozen tensors proven unchanged\n", file.freeze_plan,
                        hold, file.frozen_hashes.size());
  if (!file.frozen_hashes.empty())
    text += fmt::format("proof     {}; SHA-256 of all {}: {}\n", proven ? "proven" : "NOT PROVEN",
                        file.frozen_hashes.size(), digest_of(file.frozen_hashes));
  for (auto& [key, value] : file.origin) text += fmt::format("origin    {}: {}\n", key, printable(value));
  if (file.golden) text += "golden    input and logits stored; --verify replays them\n";
  text.pop_back();
  print(text);
  return require_proof(file, hold, title), 0;
}

int inspect_weights(const Imported& weights, const Common& common, const std::string& title) {
  const TensorMap& tensors = weights.file.tensors;
  std::string nearest, exact = recognise(tensors, &nearest);
  Json list = Json::array();
  std::string text = fmt::format("{}: {} tensors, {}", title, tensors.size(),
                                 exact.empty() ? "most like " + nearest : exact);
  for (auto& [name, tensor] : tensors) {
    list.push_back({{"name", name}, {"type", name_of(tensor.dtype())}, {"shape", tensor.shape()}});
    text += fmt::format("\n  {:<40} {:<5} {}", printable(name), name_of(tensor.dtype()), tensor.shape());
  }
  if (!weights.skipped.empty()) text += "\nnot read  " + enumerate(weights.skipped);
  if (common.json)
    print(Json{{"architecture", exact}, {"nearest", nearest}, {"tensors", list},
               {"skipped", weights.skipped}});
  else
    print(text);
  return 0;
}

int run_inspect(const InspectOptions& o) {
  apply(o.common);
  if (o.file.empty() == o.model.empty())
    fail(Fault::usage, "inspect: give either a file or --model NAME");
  if (!o.model.empty()) {
    auto model = build_model(o.model, zoo_row(o.model).classes);
    return inspect_model(*model, {}, o.common, "built");
  }
  if (!is_model_file(o.file))
    return inspect_weights(import_weights(o.file), o.common, printable(o.file));
  ModelFile file = read_model_file(o.file);
  auto model = from_file(file);
  return inspect_model(*model, file, o.common, printable(o.file));
}

}  // namespace

Run add_inspect(CLI::App& program) {
  Command c(program, "inspect", "Show a model file, weights or a network");
  auto o = std::make_shared<InspectOptions>();
  c.text("file", o->file, "Model file or weights");
  c.text("--model", o->model, "A network by name instead");
  add_common(c, o->common);
  c.footer(kInspectFooter);
  return [o] { return run_inspect(*o); };
}

}  // namespace graft::app
