// The forms of the layer that knows the classes: one matrix, as the published networks have it (in
// SqueezeNet a filter of one pixel); two with a ReLU between, trained by the loop; or cosines. A
// network whose head is no matrix says so in its architecture: "resnet50+mlp:256",
// "resnet18:layer3+cosine".
#pragma once
#include <memory>
#include <string>

#include "layers/module.h"

namespace graft {

struct HeadForm {
  enum class Kind { linear, mlp, cosine };
  Kind kind = Kind::linear;
  int64_t width = 0;  // of an mlp: what its first matrix makes

  static HeadForm parse(const std::string& text);  // "linear", "mlp:256", "cosine"; or Fault::usage
  std::string text() const;
  bool operator==(const HeadForm&) const = default;
};

// Its values are uninitialised. With `filter` a matrix is a Conv2d of one pixel; all forms take
// maps.
std::unique_ptr<Module> make_head_layer(const HeadForm& form, int64_t features, int64_t classes,
                                        bool filter);

// The tensor of such a layer that has a row for each class, and the one that takes the features.
Param& class_weights(Module& layer);
Param& feature_weights(Module& layer);

// Where in the layer class_weights() is: "weight", "2.weight".
std::string class_weights_name(const HeadForm& form);

}  // namespace graft
