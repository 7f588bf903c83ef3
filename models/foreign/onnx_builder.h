// Makes an ONNX graph out of a trace: names, constants, and how the values lie. A value of ours is
// (N,H,W,C), ONNX's operations take (N,C,H,W); each is turned only where somebody wants the other.
#pragma once
#include <array>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "core/tensor_map.h"
#include "core/trace.h"
#include "io/onnx_file.h"
#include "models/classifier.h"

namespace graft {

enum class Layout {
  plain,           // as in memory: channels last
  channels_first,  // (N,C,H,W); of a flattened map: (N, C*H*W)
};

class OnnxBuilder {
 public:
  explicit OnnxBuilder(Classifier& model);

  // ---- values; shapes are ours, and -1 in them is a multiple of the number of images
  void define(const Tensor& t, Layout layout, const std::string& name);
  void declare(const Tensor& t, Shape shape);  // before it is defined
  // A constant (N,...) that a network makes for as many images as there are, of equal rows.
  void repeat(const Tensor& t, Shape shape);
  bool is_value(const Tensor& t) const { return values_.contains(place_of(t)); }
  const Shape& shape(const Tensor& t) const { return value(t).shape; }
  Shape shape(const Tensor& t, Layout layout) const;
  bool has(const Tensor& t, Layout layout) const;
  Layout at_hand(const Tensor& t) const;       // the one that costs nothing
  // Of a flattened map: its (H,W,C); empty for all others.
  const Shape& map(const Tensor& t) const { return value(t).map; }
  void set_map(const Tensor& t, Shape map) { value(t).map = std::move(map); }
  std::string want(const Tensor& t, Layout layout);  // -> its name; a constant has plain only

  // ---- constants, under their published names where they have one
  std::string constant(const Tensor& t, const Shape& shape);  // in the order of memory
  std::string published(const Tensor& t);      // in the order of files: filters (O,I,H,W)
  const Param* param(const Tensor& t) const;   // null for what is no parameter
  std::string number(float value);
  std::string integers(const Shape& values);

  // ---- nodes; -> the name of the first output. `hint`: a parameter that the node is about
  std::string node(const std::string& type, std::vector<std::string> inputs,
                   std::vector<std::pair<std::string, OnnxAttribute>> attributes = {},
                   const Tensor& hint = {});
  std::vector<std::string> nodes(const std::string& type, std::vector<std::string> inputs,
                                 std::vector<std::pair<std::string, OnnxAttribute>> attributes,
                                 size_t outputs);
  std::string reshape(const std::string& x, const Shape& shape);
  std::string pad(const std::string& map, std::array<int, 4> padding, float value);
  std::string expand(const std::string& x, int rank);  // (1,...) -> (N,...)
  std::string transpose(const std::string& x, const Shape& order);

  void set_input(const Tensor& images);       // under the name "input"
  OnnxGraph take(const Tensor& logits);       // under the name "logits"

 private:
  struct Value {
    Shape shape, traced;  // traced: with the number of images of the trace
    Shape map;
    std::map<Layout, std::string> names;
  };
  struct Known {  // of the model
    std::string path;
    const Param* param;
  };
  const Value& value(const Tensor& t) const;
  Value& value(const Tensor& t) { return const_cast<Value&>(std::as_const(*this).value(t)); }
  std::string turn(const Value& v, const std::string& from, Layout to);
  std::string unique(const std::string& wish);
  std::string add_tensor(const std::string& wish, const Tensor& tensor);
  std::string name_of_constant(const Tensor& t) const;
  std::string new_constant(const Tensor& t, const Tensor& written);

  OnnxGraph graph_;
  std::map<Place, Value> values_;
  std::map<Place, Known> known_;
  TensorMap files_;                                             // as published
  std::map<std::tuple<Place, Shape, bool>, std::string> constants_;  // bool: order of files
  std::map<std::string, std::string> small_;                    // numbers and integers by content
  std::vector<Tensor> kept_;                                    // so that no place is used twice
  std::set<std::string> names_;
};

// Adds what one traced operation does; throws where it has no form in ONNX.
void add_to_onnx(const TracedOp& op, OnnxBuilder& graph);

}  // namespace graft
