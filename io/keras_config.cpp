// What a model's configuration says of its layers: numbers that no weight shows.
#include <algorithm>

#include "core/check.h"
#include "io/json.h"
#include "io/keras_forms.h"
#include "io/source_file.h"

namespace graft::keras {
namespace {

using Json = nlohmann::json;

int pixels_of(const Json& value) {  // no stride or padding is as large as the bounds
  return int(std::clamp<int64_t>(value.get_ref<const Json::number_integer_t&>(), -9999, 9999));
}

// 2, [2, 2] or, of a padding, [[1, 2], [1, 2]]: rows before columns.
std::array<int, 2> pair_of(const Json& value) {
  if (value.is_number()) return {pixels_of(value), pixels_of(value)};
  return {pixels_of(value.at(0)), pixels_of(value.at(1))};
}

std::array<int, 4> padding_of(const Json& value) {  // -> top, left, bottom, right
  if (!value.is_array() || !value.at(0).is_array()) {
    auto [rows, columns] = pair_of(value);
    return {rows, columns, rows, columns};
  }
  auto rows = pair_of(value.at(0)), columns = pair_of(value.at(1));
  return {rows[0], columns[0], rows[1], columns[1]};
}

// The layer whose output a layer takes first: [[["pad", 0, 0, {}]]] in Keras 1 and 2, in Keras 3
// [{"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": ["pad", 0, 0]}}]}].
std::string first_input(const Json& nodes) {
  const Json* at = &nodes;
  while (!at->is_string()) {
    if (at->is_array() && !at->empty()) at = &(*at)[0];
    else if (at->is_object() && at->contains("args")) at = &(*at)["args"];
    else if (at->is_object() && at->contains("config")) at = &(*at)["config"];
    else if (at->is_object() && at->contains("keras_history")) at = &(*at)["keras_history"];
    else return "";
  }
  return at->get<std::string>();
}

KerasSettings settings_of(const Json& config) {
  KerasSettings settings;
  auto either = [&](const char* name, const char* of_keras_1) {
    return config.contains(name) ? name : of_keras_1;
  };
  if (config.contains("epsilon")) settings.epsilon = config["epsilon"].get<double>();
  settings.scale = config.value("scale", true);
  settings.center = config.value("center", true);
  if (auto stride = config.find(either("strides", "subsample")); stride != config.end())
    settings.stride = pair_of(*stride);
  if (config.contains("dilation_rate")) settings.dilation = pair_of(config["dilation_rate"]);
  settings.same = config.value(either("padding", "border_mode"), "valid") == "same";
  return settings;
}

const Json* layers_of(const Json& model) {
  auto config = model.find("config");
  if (config == model.end()) return nullptr;
  if (config->is_array()) return &*config;  // a sequence of Keras 1
  return config->is_object() && config->contains("layers") ? &(*config)["layers"] : nullptr;
}

void collect(const Json& model, AllSettings& all) {
  const Json* layers = layers_of(model);
  if (!layers) return;
  std::map<std::string, std::array<int, 4>> pads;
  std::string before;
  for (const Json& layer : *layers) {
    if (!layer.is_object() || !layer.contains("config")) continue;
    collect(layer, all);
    const Json& config = layer["config"];
    if (!config.is_object()) continue;
    std::string kind = layer.value("class_name", ""), name = config.value("name", "");
    auto nodes = layer.find("inbound_nodes");
    std::string input = nodes == layer.end() ? before : first_input(*nodes);
    before = name;
    if (kind == "ZeroPadding2D" && config.contains("padding"))
      pads[name] = padding_of(config["padding"]);
    bool convolves = kind.find("Conv") != kind.npos, normalises = kind.ends_with("Normalization");
    if (!convolves && !normalises) continue;
    KerasSettings settings = settings_of(config);
    settings.convolves = convolves;
    if (pads.contains(input)) settings.padding = pads[input];
    all.emplace(name, settings);
  }
}

}  // namespace

AllSettings settings_in_config(const std::string& json, const std::string& file) {
  AllSettings all;
  try {
    collect(parse_json(json, file), all);
  } catch (const nlohmann::json::exception& e) {
    fail(Fault::data, "{}: is no configuration of a model: {}", file, escaped(e.what()));
  }
  return all;
}

}  // namespace graft::keras
