// From the layers of Keras' published networks to the rows of the zoo and the names of their
// layers, as tables: VGG, ResNet v1, SqueezeNet, DenseNet, Inception V3, MobileNetV2, EfficientNet
// and ConvNeXt.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "io/keras_file.h"
#include "io/transforms.h"

namespace graft {

enum class KerasKind { conv, depthwise, dense, norm, layer_norm, scale, input, other };
// By rank: kernel (4) and bias; matrix (2) and bias; gamma, beta, mean and variance. Nothing else
// can be told without a name.
KerasKind kind_of(const KerasLayer& layer);

struct KerasTarget {
  KerasKind kind;
  std::string keras;      // "conv2_block1_0_conv"
  std::string
      published;  // "layer1.0.downsample.0"; of a scale the tensor, "features.1.0.layer_scale"
  std::string older;      // what Keras called it before 2019: "res2a_branch1"; mostly empty
  int map = 1;            // side of the map whose flattened pixels a dense layer sees
  bool gamma = true;      // whether the norm has one
};

// How pixels of 0..255 are prepared: as x * scale, minus mean, over deviation, in the order of the
// network's channels.
struct KerasInput {
  float scale;
  std::array<float, 3> mean, deviation;
  bool bgr = false;
};

// What a layer is known by, beside its name.
enum class KerasOrder {
  none,    // its name only
  model,   // its number among its kind in the order of the model, where a file has no names
  called,  // its number in its name, which counts its kind in the order of their making: "conv2d_7"
};

struct KerasNetwork {
  const char* architecture;         // a row of the zoo
  KerasInput input;
  std::vector<KerasTarget> layers;  // in the order of the model or, if called, of their making
  KerasOrder order = KerasOrder::none;

  const KerasTarget* find(const std::string& keras) const;  // null when it has no such layer
};

const std::vector<KerasNetwork>& keras_networks();

// The one whose layers the file has, by name or, where the file has no names, by number; null when
// there is none. A file may lack layers, and have others.
const KerasNetwork* recognise_keras(const KerasFile& file);

// Whether the file tells its layers apart: not where they are called by numbers and some lack.
bool tells_layers(const KerasFile& file, const KerasNetwork& network);

// What each layer of the file is in `network`, null for one that it has not.
std::vector<const KerasTarget*> match_layers(const KerasFile& file, const KerasNetwork& network);

}  // namespace graft
