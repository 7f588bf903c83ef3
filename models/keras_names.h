// From the layers of Keras' published networks to the rows of the zoo and the names of their
// layers: VGG, ResNet v1 and SqueezeNet, as tables.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "io/keras_file.h"
#include "io/transforms.h"

namespace graft {

enum class KerasKind { conv, dense, norm, other };
// By rank: kernel (4) and bias; matrix (2) and bias; gamma, beta, mean and variance.
KerasKind kind_of(const KerasLayer& layer);

struct KerasTarget {
  KerasKind kind;
  std::string keras;      // "conv2_block1_0_conv"
  std::string published;  // "layer1.0.downsample.0"
  std::string older;      // what Keras called it before 2019: "res2a_branch1"; mostly empty
  int map = 1;            // side of the map whose flattened pixels a dense layer sees
};

struct KerasNetwork {
  const char* architecture;         // a row of the zoo
  std::array<float, 3> mean;        // of B, G and R, which the input lacks; 0..255
  std::vector<KerasTarget> layers;  // in the order of the model

  const KerasTarget* find(const std::string& keras) const;  // null when it has no such layer
};

const std::vector<KerasNetwork>& keras_networks();

// The one whose layers the file has, by name or, where the file has no names, by number; null when
// there is none. A file may lack layers, and have others.
const KerasNetwork* recognise_keras(const KerasFile& file);

// What each layer of the file is in `network`, null for one that it has not. Where not one name is
// known, the k-th layer of a kind is the k-th of that kind.
std::vector<const KerasTarget*> match_layers(const KerasFile& file, const KerasNetwork& network);

}  // namespace graft
