// One network of the zoo: how it is built and what is published about it.
#pragma once
#include <functional>
#include <memory>

#include "core/tensor_map.h"
#include "models/classifier.h"

namespace graft {

struct ZooRow {
  const char* name;
  std::function<std::unique_ptr<Classifier>(int64_t classes)> build;  // values uninitialised
  int64_t parameters;        // published, with `classes` classes
  Preprocess preprocess{};   // of the published weights
  int64_t classes = 1000;
  // Brings tensors of published files to the names of today and drops what only a training from
  // scratch used; null where the files need nothing.
  void (*tidy)(TensorMap& published) = nullptr;
  int small = 64;            // side of the image whose logits a model file keeps: one that it can take
  const char* family = "";   // "DenseNet"; the zoo sets it
};

}  // namespace graft
