// One run of training on a folder of pictures, as graft demo does them all: SGD with a one-cycle
// rate, mild random cuts, and no look at val/ before the end.
#pragma once
#include <cstdint>
#include <string>

#include "models/classifier.h"

namespace graft::app {

struct Recipe {
  int64_t epochs, batch;
  double rate;  // learning rate at its highest
  uint64_t seed;
  bool show = false;  // a line per epoch
};

struct Learned {
  double accuracy = 0;  // on val/, after the last epoch
  double seconds = 0;   // of training
  int64_t trained = 0;  // parameters
  double peak_mb = 0;   // of tensors, while training
};

// `data` holds train/ and val/; what the model's freeze plan keeps, stays.
Learned learn(Classifier& model, const std::string& data, const Recipe& recipe);

}  // namespace graft::app
