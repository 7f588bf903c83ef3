// HDF5 as Keras 1 and 2 wrote it, and its oldest form.
#include "core/check.h"
#include "io/keras_forms.h"
#include "io/source_file.h"

namespace graft::keras {
namespace {

// A list of names; above 64512 bytes Keras splits it: layer_names0, layer_names1, ...
std::vector<std::string> names_of(const Hdf5Reader& file, const std::string& group,
                                  const std::string& attribute) {
  if (file.has_attribute(group, attribute)) return file.texts(group, attribute);
  std::vector<std::string> names;
  for (int part = 0; file.has_attribute(group, attribute + std::to_string(part)); ++part)
    for (std::string& name : file.texts(group, attribute + std::to_string(part)))
      names.push_back(std::move(name));
  return names;
}

std::string below(const std::string& group, const std::string& name) {
  return (group == "/" ? group : group + "/") + name;
}

// "vgg16/fc1" of vgg16/fc1/kernel:0.
std::string owner_of(const std::string& weight) {
  size_t slash = weight.rfind('/');
  return slash == weight.npos ? "" : weight.substr(0, slash);
}

// A nested model is one layer of the outer, whose weights all name layers of their own, several.
bool is_nested(const std::vector<KerasWeight>& weights) {
  bool several = false;
  for (const KerasWeight& weight : weights) {
    if (owner_of(weight.name).empty()) return false;
    several |= owner_of(weight.name) != owner_of(weights[0].name);
  }
  return several;
}

// The layers of a nested model by full name: partly frozen, it has what learns of all layers first.
void add_nested(std::vector<KerasWeight> weights, Collector& collector) {
  std::vector<KerasLayer> layers;
  std::map<std::string, size_t> index;
  for (KerasWeight& weight : weights) {
    auto [at, fresh] = index.emplace(owner_of(weight.name), layers.size());
    if (fresh) layers.push_back({at->first, {}});
    layers[at->second].weights.push_back(std::move(weight));
  }
  for (KerasLayer& layer : layers) collector.add(layer.name, std::move(layer.weights));
}

}  // namespace

KerasFile read_legacy(const Hdf5Reader& file) {
  std::string root = file.has("/model_weights") ? "/model_weights" : "/";
  bool listed = file.has_attribute(root, "layer_names") || file.has_attribute(root, "layer_names0");
  GRAFT_CHECK(listed, "{}: comes from Keras, but has no weights: {} lacks layer_names", file.name(),
              root);
  Collector collector(file);
  for (const std::string& layer : names_of(file, root, "layer_names")) {
    std::string group = below(root, layer);
    GRAFT_CHECK(file.has(group), "{}: the layer {} has no group of weights; get the file again",
                file.name(), escaped(layer));
    std::vector<KerasWeight> weights;
    for (const std::string& name : names_of(file, group, "weight_names"))
      weights.push_back(collector.read(below(group, name), name));
    if (is_nested(weights)) add_nested(std::move(weights), collector);
    else collector.add(layer, std::move(weights));
  }
  KerasFile keras = collector.finish();
  if (file.has_attribute(root, "backend")) keras.backend = file.text(root, "backend");
  if (file.has_attribute("/", "model_config"))
    keras.settings =
        settings_in_config(file.text("/", "model_config"), file.name() + ": model_config");
  return keras;
}

KerasFile read_oldest(const Hdf5Reader& file) {
  Collector collector(file);
  for (int64_t k = 0, layers = file.integer("/", "nb_layers"); k < layers; ++k) {
    std::string layer = fmt::format("layer_{}", k);
    GRAFT_CHECK(file.has("/" + layer), "{}: says {} layers, but lacks {}; get the file again",
                file.name(), layers, layer);
    std::vector<KerasWeight> weights;
    for (int64_t p = 0, count = file.integer("/" + layer, "nb_params"); p < count; ++p) {
      std::string name = fmt::format("param_{}", p);
      weights.push_back(collector.read(below("/" + layer, name), name));
    }
    collector.add(layer, std::move(weights));
  }
  return collector.finish();
}

}  // namespace graft::keras
