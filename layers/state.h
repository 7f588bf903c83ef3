// A model's values under their published names, shapes and orders. This is the one place where
// filters turn between (O,I,H,W) in files and (O,H,W,I) in memory.
#pragma once
#include <string>
#include <vector>

#include "core/tensor_map.h"
#include "layers/module.h"

namespace graft {

Shape published_shape(const Param& p);
Tensor published(const Param& p);  // a copy in the shape and order of files
TensorMap state(Module& model);    // copies; what is saved: parameters and buffers
TensorMap state_view(Module& model);  // the same without memory: values are looked up when read

struct LoadReport {
  std::vector<std::string> loaded, missing, unexpected;
  std::vector<std::string> misshapen;  // "fc.weight: file [1000, 512], model [2, 512]"
  bool complete() const { return missing.empty() && unexpected.empty() && misshapen.empty(); }
  std::string text() const;            // every difference, for one message
};

// What fits by name and shape; copies nothing.
LoadReport compare_state(Module& model, const TensorMap& tensors);

// Copies every tensor that fits by name and shape (f16 and bf16 are widened) and reports the rest.
// num_batches_tracked, relative_position_index and relative_coords_table may be missing: some files
// have none.
// By value: a tensor that nobody else holds is freed as soon as it is copied.
LoadReport load_matching(Module& model, TensorMap tensors);

// Loads all or nothing: throws with the whole list of differences before a value is changed.
void load_state(Module& model, TensorMap tensors);

}  // namespace graft
