// ONNX files as the format's own reader sees them.
#include "io/onnx_file.h"

#include <gtest/gtest.h>
#include <onnx/onnx_pb.h>

#include "tests/io_scratch.h"

namespace graft {
namespace {

using namespace test;

OnnxGraph small_graph() {
  OnnxGraph graph{.name = "tiny",
                  .input = {"input", {-1, 3}},
                  .output = {"logits", {-1, 2}},
                  .nodes = {{"Gemm", "fc", {"input", "w", ""}, {"y"}, {{"transB", int64_t(1)}}},
                            {"A", "a", {"y"}, {"logits"}, {{"f", 0.5f}, {"s", Shape{1, -2}}}}},
                  .tensors = {{"w", Tensor::from({2, 3}, {1, 2, 3, 4, 5, 6})}},
                  .metadata = {{"classes", "[\"a\"]"}}};
  graph.tensors.emplace_back("shape", Tensor::from<int64_t>({2}, Shape{-1, 1ll << 40}));
  graph.tensors.emplace_back("one", Tensor::full({}, 1));
  return graph;
}

onnx::ModelProto written(const OnnxGraph& graph) {
  Scratch scratch;
  write_onnx(scratch / "m.onnx", graph, "0.1");
  onnx::ModelProto model;
  EXPECT_TRUE(model.ParseFromString(slurp(scratch / "m.onnx")));
  EXPECT_EQ(scratch.files(), 1u);
  return model;
}

TEST(OnnxFile, SaysWhatItIs) {
  onnx::ModelProto model = written(small_graph());
  EXPECT_EQ(model.ir_version(), 8);
  EXPECT_EQ(model.producer_name(), "graft");
  EXPECT_EQ(model.producer_version(), "0.1");
  ASSERT_EQ(model.opset_import_size(), 1);
  EXPECT_EQ(model.opset_import(0).version(), 17);
  ASSERT_EQ(model.metadata_props_size(), 1);
  EXPECT_EQ(model.metadata_props(0).key() + model.metadata_props(0).value(), "classes[\"a\"]");
  const auto& dims = model.graph().input(0).type().tensor_type().shape();
  EXPECT_EQ(dims.dim(0).dim_param(), "N");
  EXPECT_EQ(dims.dim(1).dim_value(), 3);
  EXPECT_EQ(model.graph().output(0).name(), "logits");
}

TEST(OnnxFile, HoldsNodesAndTensors) {
  const onnx::GraphProto graph = written(small_graph()).graph();
  ASSERT_EQ(graph.node_size(), 2);
  EXPECT_EQ(graph.node(0).op_type(), "Gemm");
  EXPECT_EQ(graph.node(0).input(2), "");
  EXPECT_EQ(graph.node(0).attribute(0).i(), 1);
  EXPECT_EQ(graph.node(1).attribute(0).f(), 0.5f);
  EXPECT_EQ(graph.node(1).attribute(1).ints(1), -2);
  ASSERT_EQ(graph.initializer_size(), 3);
  EXPECT_EQ(graph.initializer(0).dims(1), 3);
  EXPECT_EQ(graph.initializer(0).data_type(), onnx::TensorProto::FLOAT);
  float values[6];
  ASSERT_EQ(graph.initializer(0).raw_data().size(), sizeof values);
  std::memcpy(values, graph.initializer(0).raw_data().data(), sizeof values);
  EXPECT_EQ(values[5], 6);
  EXPECT_EQ(graph.initializer(1).data_type(), onnx::TensorProto::INT64);
  EXPECT_EQ(graph.initializer(1).raw_data().size(), 16u);
  EXPECT_EQ(graph.initializer(2).dims_size(), 0);
}

TEST(OnnxFile, AppearsWholeOrNotAtAll) {
  Scratch scratch;
  OnnxGraph graph = small_graph();
  graph.tensors.emplace_back("large", Tensor({1 << 15, 1 << 14}));  // 2 GiB that nobody touches
  spill(scratch / "m.onnx", "old");
  std::string message = error_of([&] { write_onnx(scratch / "m.onnx", graph, "1"); });
  EXPECT_NE(message.find("2 GiB"), std::string::npos) << message;
  EXPECT_EQ(slurp(scratch / "m.onnx"), "old");
  EXPECT_EQ(scratch.files(), 1u);
  graph.tensors.back().second = Tensor({2}, DType::u8);
  error_of([&] { write_onnx(scratch / "m.onnx", graph, "1"); });
  EXPECT_EQ(slurp(scratch / "m.onnx"), "old");
}

// The values of a tensor may be made when they are read, and go away when they are written.
TEST(OnnxFile, HoldsOneTensorAtATime) {
  int made = 0;
  OnnxGraph graph = small_graph();
  graph.tensors[0].second = Tensor::made_by({2, 3}, DType::f32, [&](void* to) {
    ++made;
    std::memset(to, 0, 24);
  });
  written(graph);
  EXPECT_EQ(made, 1);
  graph.tensors[0].second.data();
  EXPECT_EQ(made, 2);
}

}  // namespace
}  // namespace graft
