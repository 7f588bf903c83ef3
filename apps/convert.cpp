// graft convert: weights from any format that can be read into a model file of ours, with its
// class names, preprocessing, origin and a golden input; or into safetensors; or, with the network
// itself, into ONNX.
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "core/text.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "io/sha256.h"
#include "io/tensor_map.h"
#include "models/foreign/onnx_export.h"
#include "models/saved.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

constexpr const char* kConvertFooter = R"(Examples:
  graft convert resnet18.pth resnet18.h5 --classes imagenet_class_index.json
  graft convert resnet50_keras.h5 trunk.h5 --until layer3
  graft convert run/model.h5 model.safetensors
  graft convert run/model.h5 model.onnx)";

struct ConvertOptions {
  Common common;
  std::string in, out, model, until, classes;
  int side = 0;  // of the images that an .onnx takes; 0: as its preprocessing makes them
  bool partial = false, allow_nonfinite = false;
};

enum class Form { model_file, safetensors, onnx };

Form form_of(const ConvertOptions& o) {
  if (o.out.ends_with(".safetensors")) return Form::safetensors;
  if (o.out.ends_with(".onnx")) return Form::onnx;
  if (!o.out.ends_with(".h5") && !o.out.ends_with(".hdf5"))
    fail(Fault::usage, "convert: {} must end in .h5, .safetensors or .onnx", printable(o.out));
  return Form::model_file;
}

struct ClassNames {
  std::vector<std::string> names, ids;
};

// {"0": ["n01440764", "tench"], ...} or {"0": "tench", ...} or ["tench", ...].
ClassNames classes_from_json(const Json& json, const std::string& path) {
  ClassNames classes;
  for (size_t i = 0; i < json.size(); ++i) {
    std::string key = std::to_string(i);
    GRAFT_CHECK(json.is_array() || json.contains(key), "{}: class {} is missing", path, i);
    const Json& entry = json.is_array() ? json[i] : json[key];
    bool pair = entry.is_array() && entry.size() == 2 && entry[0].is_string() && entry[1].is_string();
    GRAFT_CHECK(pair || entry.is_string(), "{}: class {} is neither a name nor [id, name]", path, i);
    classes.names.push_back(pair ? entry[1] : entry);
    if (pair) classes.ids.push_back(entry[0]);
  }
  GRAFT_CHECK(classes.ids.empty() || classes.ids.size() == classes.names.size(),
              "{}: some classes have an id and some have none", path);
  return classes;
}

ClassNames read_classes(const std::string& path) {
  std::string text = read_text(path, 64 << 20);
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);  // a byte order mark
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first != text.npos && (text[first] == '{' || text[first] == '[')) {
    Json json = Json::parse(text.substr(first), nullptr, false);
    GRAFT_CHECK(!json.is_discarded(), "{}: is no valid JSON", path);
    return classes_from_json(json, path);
  }
  return {split(text, "\r\n"), {}};
}

void name_classes(Classifier& model, const std::string& path) {
  ClassNames classes = read_classes(path);
  GRAFT_CHECK(int64_t(classes.names.size()) == model.classes(),
              "{}: {} class names for a model of {} classes", path, classes.names.size(),
              model.classes());
  model.class_names = std::move(classes.names);
  model.class_ids = std::move(classes.ids);
}

void show_mapping(const Adopted& adopted, const ModelFile& file) {
  for (const std::string& name : adopted.report.loaded) {
    const TensorSource& source = file.sources.at(name);
    say(fmt::format("  {:<40} -> {:<40} {}  {}", printable(source.name), name,
                    file.tensors.at(name).shape(), source.transform));
  }
  say(adopted.report.text());
  if (!adopted.skipped.empty())
    say("beside the weights, not read: " + enumerate(printable(adopted.skipped)));
  if (!adopted.note.empty()) say("note: " + adopted.note);
}

Json mapping_json(const ModelFile& file) {
  Json mapping = Json::array();
  for (auto& [target, source] : file.sources)
    mapping.push_back({{"source", source.name}, {"target", target}, {"transform", source.transform}});
  return mapping;
}

void write(const ConvertOptions& o, Form form, Classifier& model, const ModelFile& file) {
  if (form == Form::safetensors) {
    if (model.preprocess != zoo_row(model.architecture).preprocess)
      say("warning: .safetensors keeps no preprocessing, and these weights want their own; a model "
          "file, .h5, keeps it");
    write_safetensors(o.out, file.tensors, {{"architecture", model.architecture}});
  } else if (form == Form::onnx) {
    OnnxGraph graph = to_onnx(model, o.side > 0 ? o.side : model.preprocess.crop);
    for (const auto& [key, value] : file.origin) graph.metadata["origin." + key] = printable(value);
    write_onnx(o.out, graph, GRAFT_VERSION);
  } else {
    write_model_file(o.out, file);
  }
}

int run_convert(const ConvertOptions& o) {
  apply(o.common);
  std::error_code ignored;
  if (std::filesystem::equivalent(o.in, o.out, ignored) || o.in == o.out)
    fail(Fault::usage, "convert: the output {} is the input; name another file", printable(o.out));
  const Form form = form_of(o);
  if (o.side > 0 && form != Form::onnx)
    fail(Fault::usage, "convert: --side is for .onnx; {} takes images of any side",
         printable(o.out));
  Adopted adopted = adopt(o.in, network_option(o.model, o.until), {o.partial, o.allow_nonfinite});
  Classifier& model = *adopted.model;
  if (!o.classes.empty()) name_classes(model, o.classes);
  ModelFile file = to_file(model);
  file.freeze_plan = adopted.file.freeze_plan;
  file.origin = adopted.file.origin;
  file.origin["source"] = std::filesystem::path(o.in).filename().string();
  file.origin["sha256"] = sha256_of_file(o.in);
  file.origin["tool"] = std::string("graft ") + GRAFT_VERSION;
  if (!adopted.report.complete()) file.origin["partial"] = adopted.report.text();
  std::vector<std::string> bad = nonfinite(file.tensors);
  if (!bad.empty()) say("warning: NaN or infinite: " + enumerate(bad));
  tell_sources(adopted, file);
  show_mapping(adopted, file);
  if (form == Form::model_file && bad.empty()) file.golden = make_golden(model);
  write(o, form, model, file);
  if (o.common.json)
    print(Json{{"architecture", model.architecture}, {"classes", model.classes()},
               {"loaded", adopted.report.loaded}, {"missing", adopted.report.missing},
               {"unexpected", adopted.report.unexpected}, {"misshapen", adopted.report.misshapen},
               {"skipped", adopted.skipped}, {"mapping", mapping_json(file)},
               {"sha256", file.origin["sha256"]}, {"out", o.out}});
  else
    print(fmt::format("{} with {} classes: {} tensors in {}", model.architecture, model.classes(),
                      file.tensors.size(), printable(o.out)));
  return 0;
}

}  // namespace

Run add_convert(CLI::App& program) {
  Command c(program, "convert", "Turn weights into a model file, or into ONNX");
  auto o = std::make_shared<ConvertOptions>();
  c.required("in", o->in, "Weights or model file to read");
  c.required("out", o->out, "File to write: .h5, .safetensors or .onnx");
  c.text("--model", o->model, "Architecture, when the tensors do not tell");
  c.text("--classes", o->classes, "Class names: one a line, or JSON index -> [id, name]");
  add_until(c, o->until);
  c.integer("--side", o->side, 0, 1 << 16, "Side of the images that an .onnx takes; 0: as the "
            "preprocessing makes them");
  c.flag("--partial,--allow-partial", o->partial, "Accept weights that lack tensors or have "
         "others");
  c.flag("--allow-nonfinite", o->allow_nonfinite, "Accept weights that are NaN or infinite");
  add_common(c, o->common);
  c.footer(kConvertFooter);
  return [o] { return run_convert(*o); };
}

}  // namespace graft::app
