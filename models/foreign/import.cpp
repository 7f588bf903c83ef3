#include "models/foreign/import.h"

#include <algorithm>
#include <set>

#include "io/keras_file.h"
#include "io/source_file.h"
#include "io/tensor_map.h"
#include "layers/state.h"
#include "models/catalogue.h"
#include "models/foreign/keras_import.h"
#include "models/foreign/timm_import.h"
#include "models/zoo.h"

namespace graft {
namespace {

using Sources = std::map<std::string, TensorSource>;

TensorMap tidied(const ZooRow& row, TensorMap tensors) {
  if (row.tidy) row.tidy(tensors);
  return tensors;
}

// Builds the row, with a head of that form, with as many classes as the tensors have; compares without
// copying.
LoadReport fit(const ZooRow& row, const TensorMap& published, const std::string& head = "") {
  TensorMap tensors = tidied(row, published);
  const std::string name = NetworkName{row.name, "", head}.text();
  auto build = [&](int64_t classes) { return build_model(name, classes); };
  auto model = build(1);
  if (int64_t classes = classes_in(*model, tensors)) model = build(classes);
  return compare_state(*model, tensors);
}

Sources kept(const Weights& weights) {
  Sources sources;
  for (auto& [name, tensor] : weights.tensors) sources[name] = {name, "kept"};
  for (auto& [name, in_file] : weights.names) sources[name].name = in_file;
  return sources;
}

// tidy() renames, reshapes and drops: a tensor is known again by its memory.
void tidy(const ZooRow& row, Imported& imported) {
  if (!row.tidy) return;
  TensorMap before = imported.file.tensors;
  std::map<const void*, std::string> names;
  for (auto& [name, tensor] : before) names[tensor.raw()] = name;
  row.tidy(imported.file.tensors);
  Sources sources;
  std::set<std::string> taken;
  for (auto& [name, tensor] : imported.file.tensors) {
    std::string from = before.contains(name) ? name : names[tensor.raw()];
    sources[name] = imported.file.sources[from];
    if (before[from].shape() != tensor.shape())
      sources[name].transform = fmt::format("{} -> {}", before[from].shape(), tensor.shape());
    taken.insert(from);
  }
  for (auto& [name, tensor] : before)
    if (!taken.contains(name)) imported.skipped.push_back(name + " (of no use here)");
  imported.file.sources = std::move(sources);
}

// What the whole network has, but not the one that ends early, is left out; so is a head that
// belongs to the whole.
void leave_out_tail(const NetworkName& network, Imported& imported) {
  TensorMap& tensors = imported.file.tensors;
  auto whole = build_model(NetworkName{network.row, "", network.head}.text(), 1);
  auto cut = build_model(network.text(), 1);
  TensorMap of_whole = state_view(*whole), of_cut = state_view(*cut);
  auto head = tensors.find(cut->head_path() + ".weight");
  bool own_head = head != tensors.end() && head->second.rank() == 2 && of_cut.contains(head->first) &&
                  head->second.dim(1) == of_cut.at(head->first).dim(1);
  size_t count = 0;
  for (auto& [name, tensor] : of_whole) {
    bool of_head = name.starts_with(cut->head_path() + ".");
    bool behind = of_head ? !own_head : !of_cut.contains(name);
    if (behind && tensors.erase(name)) ++count, imported.file.sources.erase(name);
  }
  if (count) imported.skipped.push_back(fmt::format("{} tensors behind {}", count, network.until));
}

std::string known_to_keras() {
  std::string names;
  for (const KerasNetwork& network : keras_networks())
    names += (names.empty() ? "" : ", ") + std::string(network.architecture);
  return names;
}

const KerasNetwork& keras_network(const KerasFile& keras, const std::string& row,
                                  const std::string& file) {
  const KerasNetwork* looks = recognise_keras(keras);
  GRAFT_CHECK(looks || !row.empty(),
              "{}: holds Keras weights of a network that is not known; known are {}", file,
              known_to_keras());
  if (row.empty()) return *looks;
  for (const KerasNetwork& network : keras_networks())
    if (network.architecture == row) {
      GRAFT_CHECK(tells_layers(keras, network),
                  "{}: the layers of a {} have numbers for names, and here some lack or are not "
                  "told; save the whole model with model.save(\"NAME.keras\")",
                  file, row);
      return network;
    }
  fail(Fault::data, "{}: holds Keras weights, and {} is no network of Keras; {}", file, row,
       looks ? fmt::format("they look like a {}", looks->architecture)
             : "those that can be read are " + known_to_keras());
}

void import_keras(const std::filesystem::path& path, const std::string& row, Imported& imported) {
  KerasFile keras = read_keras_file(path);
  imported.told = true;
  imported.skipped = std::move(keras.skipped);
  std::string file = escaped(path.string());
  const KerasNetwork& network = keras_network(keras, row, file);
  KerasTensors tensors = published(std::move(keras), network, file);
  imported.file.architecture = network.architecture;
  imported.file.tensors = std::move(tensors.tensors);
  imported.file.sources = std::move(tensors.sources);
  imported.file.preprocess = with_keras_input(zoo_row(network.architecture).preprocess,
                                              tensors.input.value_or(network.input));
}

// Rows of the same tensors differ in constants: the name that the file has for itself goes first.
std::string recognise_told(const std::string& told, const TensorMap& tensors, std::string* nearest) {
  const NetworkName name = parse_network(told);
  for (const ZooRow& row : zoo())
    if (name.row == row.name && name.until.empty() && fit(row, tensors, name.head).complete())
      return told;
  return recognise(tensors, nearest);
}

// Some published weights want another than what is usual for their network; their hash tells.
Preprocess preprocess_of(const ZooRow& row, const std::filesystem::path& path) {
  static const std::vector<PublishedWeights> catalogue = read_catalogue();
  bool always = std::ranges::all_of(catalogue, [&](const PublishedWeights& w) {
    return w.architecture != row.name || w.preprocess == row.preprocess;
  });
  const PublishedWeights* w = always ? nullptr : published_in(catalogue, row.name, path);
  return w ? w->preprocess : row.preprocess;
}

constexpr const char* kTimmNote =
    "the tensors have timm's names; how timm prepared their images the file does not say, and they "
    "will be prepared as for torchvision's weights";

// To the names of the zoo; also says which network it is, where that is known.
void rename_timm(const std::string& row, const std::string& file, Imported& imported) {
  auto renamed = from_timm(imported.file.tensors, imported.file.sources, row, file);
  if (!renamed) return;
  imported.file.architecture = renamed->architecture;
  imported.file.tensors = std::move(renamed->tensors);
  imported.file.sources = std::move(renamed->sources);
  imported.note = kTimmNote;
  for (std::string& name : renamed->dropped) imported.skipped.push_back(std::move(name));
}

void import_others(const std::filesystem::path& path, const NetworkName& network,
                   Imported& imported) {
  Weights weights = read_weights(path);
  imported.file.sources = kept(weights);
  imported.file.tensors = std::move(weights.tensors);
  imported.skipped = std::move(weights.skipped);
  rename_timm(network.row, escaped(path.string()), imported);
  std::string& architecture = imported.file.architecture;
  std::string nearest;
  if (!network.row.empty()) architecture = NetworkName{network.row, "", network.head}.text();
  else if (architecture.empty())
    architecture = recognise_told(weights.architecture, imported.file.tensors, &nearest);
  if (architecture.empty() && !network.until.empty()) architecture = nearest;
  if (architecture.empty()) return;
  imported.file.preprocess = preprocess_of(zoo_row(architecture), path);
  tidy(zoo_row(architecture), imported);
}

void import_ours(const std::filesystem::path& path, const NetworkName& network,
                 Imported& imported) {
  imported.told = true;
  imported.file = read_model_file(path);
  NetworkName has = parse_network(imported.file.architecture);
  bool same = (network.row.empty() || network.row == has.row) &&
              (network.until.empty() || has.until.empty() || network.until == has.until) &&
              (network.head.empty() || network.head == has.head);
  GRAFT_CHECK(same, "{}: holds a {}, not a {}", escaped(path.string()), has.text(), network.text());
  if (!network.until.empty() && has.until.empty()) imported.file.golden.reset();
}

}  // namespace

Imported import_weights(const std::filesystem::path& path, const std::string& wanted,
                        bool allow_nonfinite) {
  NetworkName network = parse_network(wanted);
  Imported imported;
  if (is_model_file(path)) import_ours(path, network, imported);
  else if (is_keras_file(path)) import_keras(path, network.row, imported);
  else import_others(path, network, imported);
  if (!allow_nonfinite) require_finite(imported.file.tensors, path.string());
  std::string& architecture = imported.file.architecture;
  if (network.until.empty() || architecture.empty()) return imported;
  const NetworkName found = parse_network(architecture);
  network.row = found.row;
  if (network.head.empty()) network.head = found.head;
  if (architecture != network.text()) leave_out_tail(network, imported);
  architecture = network.text();
  return imported;
}

std::string recognise(const TensorMap& tensors, std::string* nearest, const std::string& family) {
  size_t most = 0;
  for (const ZooRow& row : zoo()) {
    if (!std::string_view(row.name).starts_with(family)) continue;
    LoadReport report = fit(row, tensors);
    if (report.complete()) {
      if (nearest) *nearest = row.name;
      return row.name;
    }
    size_t wrong = report.missing.size() + report.unexpected.size() + report.misshapen.size();
    size_t score = report.loaded.size() * 1000 / (report.loaded.size() + wrong + 1) + 1;
    if (nearest && score > most) most = score, *nearest = row.name;
  }
  return "";
}

int64_t classes_in(const Classifier& model, const TensorMap& tensors) {
  auto weight = tensors.find(model.class_weights_path());
  return weight == tensors.end() || weight->second.rank() == 0 ? 0 : weight->second.dim(0);
}

}  // namespace graft
