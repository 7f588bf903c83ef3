// Whether a model of Keras computes what the row of the zoo computes, as far as its configuration
// says: epsilon of norms, stride and padding of convolutions.
#pragma once
#include "models/foreign/keras_names.h"

namespace graft {

// Throws Fault::data for the first layer that differs, with both values. Files without a
// configuration pass. `targets` as match_layers() gives them.
void require_settings(const KerasFile& keras, const std::vector<const KerasTarget*>& targets,
                      const KerasNetwork& network, const std::string& file);

}  // namespace graft
