// The mappings of onnx_ops.cpp's table that have files of their own: each adds to the graph what one
// traced operation does.
#pragma once
#include <span>

#include "core/ops.h"
#include "models/foreign/onnx_builder.h"

namespace graft::onnx_ops {

template <class T> T option(const TracedOp& op) { return std::any_cast<T>(op.options); }
inline Shape ints(std::span<const int> values) { return {values.begin(), values.end()}; }

void add_tokens(OnnxBuilder& g, const TracedOp& op);
void attention(OnnxBuilder& g, const TracedOp& op);
void cosine_heads(OnnxBuilder& g, const TracedOp& op);

void from_windows(OnnxBuilder& g, const TracedOp& op);
void merge_patches(OnnxBuilder& g, const TracedOp& op);
void to_windows(OnnxBuilder& g, const TracedOp& op);

void adaptive_avg_pool2d(OnnxBuilder& g, const TracedOp& op);
void avg_pool2d(OnnxBuilder& g, const TracedOp& op);
void global_avg_pool(OnnxBuilder& g, const TracedOp& op);
void max_pool2d(OnnxBuilder& g, const TracedOp& op);

}  // namespace graft::onnx_ops
