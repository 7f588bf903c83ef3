// Weights that timm saved, under the names of the zoo.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor_map.h"
#include "io/model_file.h"

namespace graft {

struct TimmTensors {
  std::string architecture;  // the row of the zoo; "" where they fit none exactly
  TensorMap tensors;         // what has no published name keeps that of the file
  std::map<std::string, TensorSource> sources;
  std::vector<std::string> dropped;
};

// Null where the names are not timm's alone. `row` is the network that is wanted, or empty. Throws
// Fault::data, naming `file`, where the row is of another family, or where timm's network computes
// something else than the row, or might (models/foreign/timm_names.h, TimmTwin).
std::optional<TimmTensors> from_timm(const TensorMap& tensors,
                                     const std::map<std::string, TensorSource>& sources,
                                     const std::string& row, const std::string& file);

}  // namespace graft
