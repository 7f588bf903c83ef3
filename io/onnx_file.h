// An ONNX file: a graph of operations by name, the tensors that they hold, and texts about it.
// Operations are those of operator set 17, see onnx.ai/onnx/operators.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/tensor.h"

namespace graft {

using OnnxAttribute = std::variant<int64_t, float, Shape>;

struct OnnxNode {
  std::string type, name;                    // "Conv", unique
  std::vector<std::string> inputs, outputs;  // names of values; an input may be "" for none
  std::vector<std::pair<std::string, OnnxAttribute>> attributes;
};

struct OnnxValue {
  std::string name;
  Shape shape;  // -1: as many as there are images
};

struct OnnxGraph {
  std::string name;
  OnnxValue input, output;                                 // f32
  std::vector<OnnxNode> nodes;                             // each after those that it reads
  std::vector<std::pair<std::string, Tensor>> tensors;     // f32 or i64; looked up when written
  std::map<std::string, std::string> metadata;
};

// Throws where the file would pass the 2 GiB that the format can hold. `version`: of graft.
void write_onnx(const std::filesystem::path& path, const OnnxGraph& graph,
                const std::string& version);

}  // namespace graft
