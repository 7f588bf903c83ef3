// Any file of weights as a network of the zoo: which architecture it is, its tensors under published
// names, where each came from, how its images were prepared, and what was left.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "io/model_file.h"
#include "models/classifier.h"

namespace graft {

struct Imported {
  ModelFile file;  // a model file as it is; of other files architecture, tensors, sources, preprocess
  bool told = false;                 // the file itself says its architecture, ours and Keras' do
  std::string note;                  // what its user should know, in a line; mostly empty
  std::vector<std::string> skipped;  // what stood beside the weights: "optimizer (3 datasets)"
};

// `network` is a name in the zoo, or empty: the architecture that the tensors fit, "" where they fit
// none. "resnet50:layer3", or ":layer3" for whatever it is, takes the trunk until that stage and
// leaves out what lies behind. Names of timm (models/foreign/timm_names.h) are known as well. Throws
// Fault::data when the file cannot be read, holds NaN, or belongs to another network than `network`.
Imported import_weights(const std::filesystem::path& path, const std::string& network = "",
                        bool allow_nonfinite = false);

// The row of the zoo whose names and shapes fit these tensors exactly, apart from the number of
// classes, of those whose name begins with `family`; "" for none. `nearest` is set to the row that
// shares the most.
std::string recognise(const TensorMap& tensors, std::string* nearest = nullptr,
                      const std::string& family = "");

// How many outputs the head has, which is of the model's form; 0 when it is not there.
int64_t classes_in(const Classifier& model, const TensorMap& tensors);

}  // namespace graft
