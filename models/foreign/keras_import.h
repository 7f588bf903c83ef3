// Weights of Keras under published names and in published layouts: kernels (H,W,I,O) -> (O,I,H,W),
// dense matrices transposed, the vectors of a norm by what they are, ones and zeros where it has no
// gamma or beta.
#pragma once
#include <map>
#include <optional>

#include "core/tensor_map.h"
#include "io/keras_file.h"
#include "io/model_file.h"
#include "models/foreign/keras_names.h"

namespace graft {

struct KerasTensors {
  TensorMap tensors;  // what has no published name keeps that of the file
  std::map<std::string, TensorSource> sources;
  std::optional<KerasInput> input;  // where a layer of the file prepares the pixels
};

// Throws Fault::data, naming `file` and the layer, where a layout cannot be told, two layers are
// one, or the file's configuration says another epsilon, stride or padding than the row has. Takes
// the tensors out of `keras`, one after the other.
KerasTensors published(KerasFile keras, const KerasNetwork& network, const std::string& file);

// What the published network wants for input, in place of that of the architecture.
Preprocess with_keras_input(Preprocess preprocess, const KerasInput& input);

}  // namespace graft
