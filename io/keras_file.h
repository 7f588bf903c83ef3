// Weights that Keras saved, layer by layer, in any of its forms:
//   legacy    HDF5 of Keras 1 and 2: the attribute layer_names, and weight_names of each layer, at
//             the root (save_weights) or in /model_weights (a whole model)
//   oldest    HDF5 before that: nb_layers, layer_<k>/param_<p>
//   weights   HDF5 of Keras 3, <name>.weights.h5: layers/<class>_<k>/vars/<i>
//   .keras    a zip archive of config.json and such a model.weights.h5
// Weights come in the order that the file states, never in that of its groups, which HDF5 sorts:
// beta before gamma. Of a model's configuration only names of layers and KerasSettings are read;
// nothing in it is run. Memory: the tensors.
#pragma once
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace graft {

struct KerasWeight {
  std::string name;  // as the file has it: "conv1_conv/kernel:0", "uniform1", "vars/0"
  Tensor values;
};

struct KerasLayer {
  std::string name;  // "conv1_conv", "fire2/squeeze1x1"; of files that do not say, "conv2d_1"
  std::vector<KerasWeight> weights;
};

// What the configuration says of a convolution or a norm and its weights do not.
struct KerasSettings {
  bool convolves = false;
  std::optional<double> epsilon;
  bool scale = true, center = true;        // whether the norm has gamma, and beta
  std::array<int, 2> stride{1, 1}, dilation{1, 1};  // height, width
  std::array<int, 4> padding{0, 0, 0, 0};  // by the layer before: top, left, bottom, right
  bool same = false;                       // and by its own, which the size of the image decides
};

struct KerasFile {
  std::vector<KerasLayer> layers;  // those with weights; a nested model is its layers, "vgg16/fc1"
  std::string backend;             // "tensorflow", "theano"; empty: the file does not say
  std::vector<std::string> skipped;  // what else stood there: "optimizer_weights (3 datasets)"
  // By name without the models around it: "fc1"; none: the file has no configuration.
  std::multimap<std::string, KerasSettings> settings;
  bool named = true;  // false: "conv2d_1" is not its name, but its number in the order of the model

  std::vector<KerasSettings> settings_of(const KerasLayer& layer) const;
};

bool is_keras_file(const std::filesystem::path& path);  // by what is in it

// Throws Fault::data for what is damaged, contradicts itself, or keeps its weights elsewhere.
KerasFile read_keras_file(const std::filesystem::path& path);

}  // namespace graft
