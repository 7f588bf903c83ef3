// HDF5 as Keras 3 writes it: layers/<class>_<k>/vars/<i>, numbered by class in the model's order.
#include <algorithm>
#include <cctype>
#include <tuple>

#include "core/check.h"
#include "io/json.h"
#include "io/keras_forms.h"
#include "io/source_file.h"

namespace graft::keras {
namespace {

constexpr std::string_view kLayers = "layers/", kDependencies = "_layer_checkpoint_dependencies/";

// conv2d_10 stands behind conv2d_9, and conv2d before conv2d_1.
std::tuple<std::string, int64_t> natural(const std::string& name) {
  size_t last = name.find_last_not_of("0123456789");
  size_t digits = last == name.npos ? 0 : name.size() - last - 1;
  bool numbered = digits > 0 && digits < 10 && name[last] == '_';
  if (!numbered) return {name, -1};
  return {name.substr(0, last), std::stoll(name.substr(last + 1))};
}

// Keras' own rule: "BatchNormalization" -> "batch_normalization", "Conv2D" -> "conv2d".
std::string snake_case(const std::string& name) {
  std::string snake;
  for (size_t i = 0; i < name.size(); ++i) {
    auto is = [&](int (*kind)(int), size_t at) { return at < name.size() && kind(uint8_t(name[at])); };
    if (i > 0 && is(isupper, i) && (is(islower, i + 1) || is(islower, i - 1))) snake += '_';
    snake += char(tolower(uint8_t(name[i])));
  }
  return snake;
}

// "layers/conv2d_1" of layers/conv2d_1/vars/0; TensorFlow 2.13 writes another word for layers.
// What is no weight, as the state of the random numbers of a dropout, has none: "".
std::string layer_of(const std::string& dataset) {
  size_t end = dataset.rfind("/vars/");
  bool inside = dataset.starts_with(kLayers) || dataset.starts_with(kDependencies);
  if (end == dataset.npos || !inside) return "";
  std::string layer = dataset.substr(0, end);
  return layer.ends_with("/seed_generator") ? "" : layer;
}

std::string canonical(std::string layer) {
  for (size_t at; (at = layer.find(kDependencies)) != layer.npos;)
    layer.replace(at, kDependencies.size(), kLayers);
  return layer;
}

std::string name_of(const Hdf5Reader& file, const std::string& layer, const Names& names) {
  std::string vars = "/" + layer + "/vars";
  if (file.has_attribute(vars, "name")) return file.text(vars, "name");
  auto found = names.find(canonical(layer));
  return found != names.end() ? found->second : layer.substr(layer.rfind('/') + 1);
}

bool has_name(const Hdf5Reader& file, const std::string& layer, const Names& names) {
  return file.has_attribute("/" + layer + "/vars", "name") || names.contains(canonical(layer));
}

void collect_names(const nlohmann::json& model, const std::string& prefix, Names& names) {
  auto config = model.find("config");
  if (config == model.end() || !config->is_object() || !config->contains("layers")) return;
  std::map<std::string, int> numbers;
  for (const nlohmann::json& layer : (*config)["layers"]) {
    if (!layer.is_object() || !layer.contains("config")) continue;
    std::string kind = snake_case(layer.value("class_name", ""));
    int number = numbers[kind]++;
    std::string group = prefix + std::string(kLayers) + kind + (number ? fmt::format("_{}", number) : "");
    if (layer["config"].is_object()) names[group] = layer["config"].value("name", "");
    collect_names(layer, group + "/", names);
  }
}

}  // namespace

Names names_in_config(const std::string& json, const std::string& file) {
  Names names;
  try {
    collect_names(parse_json(json, file), "", names);
  } catch (const nlohmann::json::exception& e) {
    fail(Fault::data, "{}: is no configuration of a model: {}", file, escaped(e.what()));
  }
  return names;
}

KerasFile read_weights(const Hdf5Reader& file, const Names& names) {
  std::map<std::string, std::vector<std::string>> variables;  // layer -> its datasets
  for (const std::string& path : file.datasets())
    if (std::string layer = layer_of(path); !layer.empty()) variables[layer].push_back(path);
  std::vector<std::string> layers;
  for (auto& [layer, paths] : variables) layers.push_back(layer);
  auto by_number = [](const std::string& a, const std::string& b) { return natural(a) < natural(b); };
  std::stable_sort(layers.begin(), layers.end(), by_number);
  Collector collector(file);
  bool named = true;
  for (const std::string& layer : layers) {
    std::vector<KerasWeight> weights;
    for (size_t i = 0; i < variables[layer].size(); ++i) {
      std::string variable = fmt::format("vars/{}", i);
      weights.push_back(collector.read("/" + layer + "/" + variable, variable));
    }
    named &= has_name(file, layer, names);
    collector.add(name_of(file, layer, names), std::move(weights));
  }
  KerasFile keras = collector.finish();
  keras.named = named;
  return keras;
}

}  // namespace graft::keras
