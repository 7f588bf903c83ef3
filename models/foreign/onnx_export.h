// A network as a file that other programs run: ONNX, operator set 17. Input `input` (N,3,side,side)
// f32, normalised as the metadata says, N free; output `logits` (N,classes). Tensors keep their
// published names and shapes; norms stay norms, nothing is folded.
#pragma once
#include "io/onnx_file.h"
#include "models/classifier.h"

namespace graft {

// In evaluation mode; the model stays as it is. Its tensors are looked up when they are written:
// write the file before the model changes. Throws, naming it, at an operation that ONNX cannot say.
OnnxGraph to_onnx(Classifier& model, int64_t side);

}  // namespace graft
