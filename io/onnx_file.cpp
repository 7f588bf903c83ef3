#include "io/onnx_file.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/wire_format_lite.h>
#include <onnx/onnx_pb.h>

#include <limits>

#include "io/file.h"

namespace graft {
namespace {

using google::protobuf::internal::WireFormatLite;

constexpr int64_t kOperatorSet = 17, kIrVersion = 8;
constexpr size_t kMost = std::numeric_limits<int32_t>::max();  // bytes that protobuf can read

void put_attribute(const std::string& name, const OnnxAttribute& value, onnx::NodeProto& node) {
  onnx::AttributeProto& to = *node.add_attribute();
  to.set_name(name);
  if (const auto* integer = std::get_if<int64_t>(&value)) {
    to.set_type(onnx::AttributeProto::INT);
    to.set_i(*integer);
  } else if (const auto* number = std::get_if<float>(&value)) {
    to.set_type(onnx::AttributeProto::FLOAT);
    to.set_f(*number);
  } else {
    to.set_type(onnx::AttributeProto::INTS);
    for (int64_t i : std::get<Shape>(value)) to.add_ints(i);
  }
}

void put_node(const OnnxNode& from, onnx::GraphProto& graph) {
  onnx::NodeProto& to = *graph.add_node();
  to.set_op_type(from.type);
  to.set_name(from.name);
  for (const std::string& name : from.inputs) to.add_input(name);
  for (const std::string& name : from.outputs) to.add_output(name);
  for (const auto& [name, value] : from.attributes) put_attribute(name, value, to);
}

void put_value(const OnnxValue& from, onnx::ValueInfoProto& to) {
  to.set_name(from.name);
  onnx::TypeProto::Tensor& type = *to.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (int64_t d : from.shape) {
    onnx::TensorShapeProto::Dimension& dim = *type.mutable_shape()->add_dim();
    if (d < 0) dim.set_dim_param("N");
    else dim.set_dim_value(d);
  }
}

// All of the graph but its tensors.
std::string graph_text(const OnnxGraph& from) {
  onnx::GraphProto graph;
  graph.set_name(from.name);
  for (const OnnxNode& node : from.nodes) put_node(node, graph);
  put_value(from.input, *graph.add_input());
  put_value(from.output, *graph.add_output());
  return graph.SerializeAsString();
}

// All of the model but its graph.
std::string model_text(const OnnxGraph& from, const std::string& version) {
  onnx::ModelProto model;
  model.set_ir_version(kIrVersion);
  model.set_producer_name("graft");
  model.set_producer_version(version);
  model.add_opset_import()->set_version(kOperatorSet);
  for (const auto& [key, value] : from.metadata) {
    onnx::StringStringEntryProto& entry = *model.add_metadata_props();
    entry.set_key(key);
    entry.set_value(value);
  }
  return model.SerializeAsString();
}

// What stands before the bytes of a field.
std::string field(int number, size_t bytes) {
  std::string text;
  google::protobuf::io::StringOutputStream stream(&text);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.WriteTag(WireFormatLite::MakeTag(number, WireFormatLite::WIRETYPE_LENGTH_DELIMITED));
  coded.WriteVarint64(bytes);
  coded.Trim();
  return text;
}

// What stands before the values of a tensor: so no second copy of them is ever made.
std::string before_values(const std::string& name, const Tensor& tensor) {
  GRAFT_CHECK(tensor.dtype() == DType::f32 || tensor.dtype() == DType::i64,
              "onnx: tensor {} has type {}", name, name_of(tensor.dtype()));
  onnx::TensorProto proto;
  proto.set_name(name);
  proto.set_data_type(tensor.dtype() == DType::f32 ? onnx::TensorProto::FLOAT
                                                   : onnx::TensorProto::INT64);
  for (int64_t d : tensor.shape()) proto.add_dims(d);
  std::string text =
      proto.SerializeAsString() + field(onnx::TensorProto::kRawDataFieldNumber, tensor.bytes());
  return field(onnx::GraphProto::kInitializerFieldNumber, text.size() + tensor.bytes()) + text;
}

}  // namespace

void write_onnx(const std::filesystem::path& path, const OnnxGraph& graph,
                const std::string& version) {
  std::string model = model_text(graph, version), nodes = graph_text(graph);
  size_t bytes = nodes.size();
  for (const auto& [name, tensor] : graph.tensors)
    bytes += before_values(name, tensor).size() + tensor.bytes();
  model += field(onnx::ModelProto::kGraphFieldNumber, bytes);
  AtomicFile file(path);
  GRAFT_CHECK(model.size() + bytes <= kMost,
              "{}: would take {} bytes, and ONNX files end at 2 GiB; .h5 and .safetensors do not",
              file.name(), model.size() + bytes);
  file.append(model.data(), model.size());
  file.append(nodes.data(), nodes.size());
  for (const auto& [name, tensor] : graph.tensors) {
    std::string before = before_values(name, tensor);
    file.append(before.data(), before.size());
    file.append(tensor.raw(), tensor.bytes());
    tensor.put_away();
  }
  file.commit();
}

}  // namespace graft
