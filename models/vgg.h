// VGG (Simonyan & Zisserman, ICLR 2015): 3x3 convolutions in a table, then three matrices.
#pragma once
#include <string_view>

#include "models/classifier.h"

namespace graft {

// `table`: widths of the convolutions in order, "M" for a max pool: "64 M 128 M ...".
std::unique_ptr<Classifier> make_vgg(std::string_view table, bool batch_norm, int64_t classes);

}  // namespace graft
