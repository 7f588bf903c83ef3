#include "models/foreign/timm_import.h"

#include "core/text.h"
#include "io/source_file.h"
#include "models/foreign/import.h"
#include "models/foreign/timm_names.h"

namespace graft {
namespace {

using Sources = std::map<std::string, TensorSource>;

Tensor reshaped(const Tensor& t, int rank) {
  if (rank == 0 || t.rank() == rank) return t;
  Shape shape = t.shape();
  shape.resize(size_t(rank), 1);
  if (t.rank() > rank) shape.back() = -1;
  return t.reshape(shape);
}

TimmTensors renamed(const TimmFamily& family, const TensorMap& tensors, const Sources& sources,
                    const std::string& file) {
  std::set<std::string> names;
  for (auto& [name, tensor] : tensors) names.insert(name);
  TimmTensors result;
  for (auto& [name, target] : match_names(family, names)) {
    if (target.published.empty()) {
      result.dropped.push_back(name + " (of no use here)");
      continue;
    }
    const Tensor& from = tensors.at(name);
    Tensor to = reshaped(from, target.rank);
    GRAFT_CHECK(result.tensors.emplace(target.published, to).second, "{}: two tensors would both be {}",
                file, escaped(target.published));
    TensorSource& source = result.sources[target.published] = sources.at(name);
    if (from.shape() != to.shape())
      source.transform = fmt::format("{} -> {}", from.shape(), to.shape());
  }
  return result;
}

// Those whose names the file has.
std::vector<const TimmFamily*> candidates(const TensorMap& tensors) {
  std::vector<const TimmFamily*> found;
  for (const TimmFamily& family : timm_families())
    if (tensors.contains(family.sign)) found.push_back(&family);
  return found;
}

void require_same_network(const std::string& row, bool told, const std::string& file) {
  GRAFT_CHECK(!row.ends_with("_keras"),
              "{}: its tensors have timm's names, and {} is Keras' network, with another padding or "
              "eps; say --model {}",
              file, row, row.substr(0, row.rfind("_keras")));
  const TimmTwin* twin = timm_twin(row);
  if (!twin) return;
  GRAFT_CHECK(!twin->none_is_same,
              "{}: these are tensors of timm's {}, which {}; {} is torchvision's network, where they "
              "would compute something else",
              file, twin->twins, twin->why, row);
  GRAFT_CHECK(told,
              "{}: timm's {} has the same tensors as its {}, which {}; if these are of the former, "
              "say --model {}",
              file, row, twin->twins, twin->why, row);
}

}  // namespace

std::optional<TimmTensors> from_timm(const TensorMap& tensors, const Sources& sources,
                                     const std::string& row, const std::string& file) {
  std::vector<const TimmFamily*> families = candidates(tensors);
  if (families.empty()) return {};
  std::optional<TimmTensors> result;
  std::vector<std::string> known;
  for (const TimmFamily* family : families) {
    known.push_back(family->name);
    if (!row.empty() && !row.starts_with(family->name)) continue;
    TimmTensors tried = renamed(*family, tensors, sources, file);
    tried.architecture = row.empty() ? recognise(tried.tensors, nullptr, family->name) : row;
    if (!result || !tried.architecture.empty()) result = std::move(tried);
    if (!result->architecture.empty()) break;
  }
  GRAFT_CHECK(result, "{}: its tensors have names that timm gives to those of {}; {} is none of them",
              file, enumerate(known), row);
  require_same_network(result->architecture, !row.empty(), file);
  return result;
}

}  // namespace graft
