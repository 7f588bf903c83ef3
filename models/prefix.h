// The fixed beginning of a network in training: the steps before the first that learns, draws or
// looks across the batch. What it makes of an image is always the same.
#pragma once
#include <string>

#include "models/classifier.h"

namespace graft {

class Prefix {
 public:
  // Of the model as it is placed and frozen; runs its beginning once, on one image.
  explicit Prefix(Classifier& model);

  size_t end() const { return end_; }                // its number of steps
  const std::string& name() const { return name_; }  // where it ends: "layer3.1"; all: "trunk"
  const std::string& next() const { return next_; }  // what comes then: "layer4.0", or the head
  const Shape& shape() const { return shape_; }      // of its result for one image
  DType dtype() const { return dtype_; }
  int64_t bytes() const;  // of that

  // 64 hex digits of all that decides the result besides the pixels: the network and where it is
  // cut, weights and statistics, preprocessing, device, types, threads, images at a time, and what
  // it made of the one image: another program or processor with other bits has another id.
  const std::string& id() const { return id_; }

 private:
  size_t end_ = 0;
  std::string name_, next_, id_;
  Shape shape_;
  DType dtype_ = DType::f32;
};

}  // namespace graft
