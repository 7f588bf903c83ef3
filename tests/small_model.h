// A model file's contents, small, with something in every field.
#pragma once
#include "io/model_file.h"

namespace graft::test {

inline Tensor counted(Shape shape, float first = 0) {
  Tensor t(std::move(shape));
  for (int64_t i = 0; i < t.size(); ++i) t.mutable_data()[i] = first + 0.37f * float(i);
  return t;
}

inline ModelFile small_model(float value = 1) {
  ModelFile m;
  m.tensors["conv1.weight"] = counted({2, 3, 1, 1}, value);
  m.tensors["fc.weight"] = counted({2, 2}, value + 10).to(DType::bf16);
  m.tensors["fc.bias"] = counted({2}, value + 20).to(DType::f16);
  m.tensors["bn.num_batches_tracked"] = Tensor::zeros({}, DType::i64);
  m.architecture = "tiny";
  m.classes = {"ants", "bées"};
  m.class_ids = {"n1", "n22"};
  m.freeze_plan = "trunk";
  m.preprocess.resize = 64;
  m.preprocess.crop = 56;
  m.preprocess.bgr = true;
  m.preprocess.mean = {0.1f, 0.2f, 0.3f};
  m.origin = {{"source", "a test"}, {"licence", ""}};
  m.frozen_hashes = {{"conv1.weight", std::string(64, 'a')}};
  m.golden = Golden{counted({1, 2, 2, 3}), counted({1, 2})};
  return m;
}

}  // namespace graft::test
