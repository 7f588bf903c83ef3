// Residual networks (He et al., CVPR 2016; the stride on the 3x3 as in torchvision, "v1.5").
#pragma once
#include <array>

#include "models/classifier.h"

namespace graft {

struct ResNetTable {
  bool bottleneck;                // blocks of 1x1, 3x3, 1x1 instead of 3x3, 3x3
  std::array<int, 4> blocks;      // per stage; 0 ends the network earlier
  int width = 64;                 // channels of the first stage
  bool small_input = false;       // 3x3 stem without pooling, for images of some 32 pixels
};

std::unique_ptr<Classifier> make_resnet(const ResNetTable& table, int64_t classes);

}  // namespace graft
