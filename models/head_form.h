// The forms of the layer that knows the classes: one matrix, as the published networks have it (in
// SqueezeNet a filter of one pixel); two with a ReLU between or cosines, trained by the loop; or
// stored images, of which the nearest vote. A network whose head is no matrix says so in its
// architecture: "resnet50+mlp:256", "resnet18:layer3+cosine", "resnet18+knn:20:244".
#pragma once
#include <memory>
#include <string>

#include "layers/module.h"

namespace graft {

struct HeadForm {
  enum class Kind { linear, mlp, cosine, neighbours };
  Kind kind = Kind::linear;
  int64_t width = 0;   // of an mlp: what its first matrix makes; of neighbours: how many vote
  int64_t stored = 0;  // images that may vote; 0: not known yet

  // "linear", "mlp:256", "cosine", "knn:20", with stored images "knn:20:244"; or Fault::usage.
  static HeadForm parse(const std::string& text);
  std::string text() const;
  bool operator==(const HeadForm&) const = default;
};

// Its values are uninitialised. With `filter` a matrix is a Conv2d of one pixel; all forms take
// maps. Throws Fault::usage for neighbours of no stored images.
std::unique_ptr<Module> make_head_layer(const HeadForm& form, int64_t features, int64_t classes,
                                        bool filter);

// The tensor of such a layer that has a row for each class, and the one that takes the features.
Param& class_weights(Module& layer);
Param& feature_weights(Module& layer);

// Where in the layer class_weights() is: "weight", "2.weight".
std::string class_weights_name(const HeadForm& form);

}  // namespace graft
