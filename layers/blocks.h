// A network as a row of blocks, from the image to the head: what is given a learning rate of its
// own or begins to learn together. A block is what a chain of layers is made of: "layer1.0" of a
// ResNet, "features.3" of an EfficientNet, a single convolution of a VGG, one encoder of a ViT.
// Norms, and parameters that stand alone, belong to the block before them.
#pragma once
#include <string>
#include <vector>

#include "layers/module.h"

namespace graft {

struct Block {
  std::string path;                     // of the module
  std::vector<std::string> parameters;  // paths of all its parameters; never empty
};

bool is_norm(Module& m);  // a batch or layer norm

std::vector<Block> blocks_of(Module& model);  // in order of execution; the head is the last

}  // namespace graft
