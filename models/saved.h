// Between a network and its file: a model file is an architecture with its weights, classes and
// preprocessing.
#pragma once
#include <filesystem>
#include <memory>
#include <string>

#include "io/model_file.h"
#include "layers/state.h"
#include "models/classifier.h"
#include "models/foreign/import.h"

namespace graft {

// No golden, no origin, no hashes. Tensors are looked up when they are read: write the file before
// the model changes.
ModelFile to_file(Classifier& model);
std::unique_ptr<Classifier> from_file(ModelFile file);  // throws where anything differs

void save_model(const std::filesystem::path& path, Classifier& model);
std::unique_ptr<Classifier> load_model(const std::filesystem::path& path);

struct Accept {
  bool partial = false;    // what fits, though tensors lack or others are there
  bool nonfinite = false;  // NaN and infinities among the values
};

// Any weights as a network; `network` as in models/foreign/import.h. With a stage in it, a head that
// lacks is a new one; otherwise all must be there, fit and be finite, unless `accept` says otherwise.
struct Adopted {
  std::unique_ptr<Classifier> model;
  LoadReport report;
  ModelFile file;       // what stood in the file besides tensors; those are moved out
  std::vector<std::string> skipped;  // what a foreign file held beside its weights: not read
  std::string note;     // what its user should know; mostly empty
  bool told = false;    // the file itself says its architecture
};
Adopted adopt(const std::filesystem::path& path, const std::string& network, Accept accept = {});

// Notes in `file`, made of the adopted model, where its tensors came from: a model file's own tells
// where they came from first.
void tell_sources(const Adopted& adopted, ModelFile& file);

// A small fixed input and what the network makes of it, in eval mode.
Golden make_golden(Classifier& model);
// Largest difference of the logits, relative to the largest logit.
double golden_difference(Classifier& model, const Golden& golden);

// -> the difference; throws when the adopted model does not reproduce the golden logits of its file
// within 1e-3.
double require_golden(Adopted& adopted, const std::filesystem::path& path);

// SHA-256 of every tensor that training must not change, as it is in files, by name.
std::map<std::string, std::string> hash_frozen(Classifier& model);

}  // namespace graft
