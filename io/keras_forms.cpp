#include "io/keras_forms.h"

#include "core/check.h"
#include "io/source_file.h"

namespace graft::keras {
namespace {

// What is compared with the names of datasets has no leading slash.
std::string relative(const std::string& path) { return path.substr(path.find_first_not_of('/')); }

bool has_variables(const Hdf5Reader& file) {
  for (const char* layers : {"/layers", "/_layer_checkpoint_dependencies"})
    if (file.has(layers))
      for (const std::string& path : file.datasets(layers))
        if (path.find("/vars/") != path.npos) return true;
  return false;
}

}  // namespace

Form form_of(const Hdf5Reader& file) {
  if (file.has_attribute("/", "format")) return Form::none;  // a file of ours
  for (const char* root : {"/", "/model_weights"})
    if (file.has(root))
      for (const char* names : {"layer_names", "layer_names0"})
        if (file.has_attribute(root, names)) return Form::legacy;
  if (file.has_attribute("/", "nb_layers")) return Form::oldest;
  if (has_variables(file)) return Form::weights;
  bool keras = file.has("/model_weights") || file.has_attribute("/", "keras_version");
  return keras ? Form::legacy : Form::none;
}

KerasWeight Collector::read(const std::string& path, std::string name) {
  Tensor values = file_.tensor(path);
  GRAFT_CHECK(read_.insert(relative(path)).second, "{}: {}: two weights of the model lie here",
              file_.name(), escaped(path));
  return {std::move(name), std::move(values)};
}

void Collector::add(std::string layer, std::vector<KerasWeight> weights) {
  if (!weights.empty()) keras_.layers.push_back({std::move(layer), std::move(weights)});
}

KerasFile Collector::finish() {
  std::map<std::string, int> counts;  // by the group at the top
  for (const std::string& path : file_.datasets())
    if (!read_.contains(path)) ++counts[path.substr(0, path.find('/'))];
  for (auto& [group, count] : counts)
    keras_.skipped.push_back(
        fmt::format("{} ({} dataset{})", escaped(group), count, count == 1 ? "" : "s"));
  return std::move(keras_);
}

}  // namespace graft::keras
