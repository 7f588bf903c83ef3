// SqueezeNet 1.0 and 1.1 (Iandola et al., 2016): fire modules, and a 1x1 convolution as the head.
#pragma once
#include <string_view>

#include "models/classifier.h"

namespace graft {

// `stem_width`, `stem_kernel`: of the first convolution. `table`: the squeeze widths of the fire
// modules in order (each expands to 2 x 4 times as many), "M" for a max pool.
std::unique_ptr<Classifier> make_squeezenet(int stem_width, int stem_kernel, std::string_view table,
                                            int64_t classes);

}  // namespace graft
