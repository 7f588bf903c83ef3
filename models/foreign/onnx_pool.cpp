// Pooling in ONNX.
#include <algorithm>

#include "kernels/pool.h"
#include "models/foreign/onnx_ops.h"

namespace graft::onnx_ops {

using enum Layout;

namespace {

// ONNX's runtimes differ in what ceil_mode is; padding that the last window reaches into is the
// same to all. It ends before another window would begin.
std::array<int, 4> padding_of(const PoolSpec& s, const Tensor& x, const Tensor& y) {
  std::array<int, 4> padding = s.padding;
  if (s.ceil_mode)
    for (size_t i : {0, 1}) {
      int64_t reach = (y.dim(int(i) + 1) - 1) * s.stride[i] + s.window[i];
      padding[i + 2] = std::max(padding[i + 2], int(reach - x.dim(int(i) + 1) - padding[i]));
    }
  return padding;
}

// (out, in): the mean of every adaptive window.
Tensor windows(int64_t in, int64_t out, bool transposed) {
  const PoolAxis axis = adaptive_axis(in, out);
  Tensor matrix = Tensor::zeros(transposed ? Shape{in, out} : Shape{out, in});
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = axis.at(o).begin; i < axis.at(o).end; ++i) {
      const float part = 1.0f / float(axis.at(o).divisor);
      matrix.mutable_data()[transposed ? i * out + o : o * in + i] = part;
    }
  return matrix;
}

}  // namespace

void max_pool2d(OnnxBuilder& g, const TracedOp& op) {
  const PoolSpec s = option<PoolSpec>(op);
  g.define(op.output, channels_first,
           g.node("MaxPool", {g.want(op.inputs[0], channels_first)},
                  {{"kernel_shape", ints(s.window)}, {"strides", ints(s.stride)},
                   {"pads", ints(padding_of(s, op.inputs[0], op.output))}}));
}

// Own padding counts where the options say so; what lies behind it never does.
void avg_pool2d(OnnxBuilder& g, const TracedOp& op) {
  PoolSpec s = option<PoolSpec>(op);
  const Tensor& x = op.inputs[0];
  std::string in = g.want(x, channels_first);
  std::array<int, 4> padding = padding_of(s, x, op.output);
  if (s.count_padding && padding != s.padding) {
    in = g.pad(in, s.padding, 0);
    for (size_t i = 0; i < 4; ++i) padding[i] -= s.padding[i];
    s.count_padding = false;
  }
  g.define(op.output, channels_first,
           g.node("AveragePool", {in},
                  {{"kernel_shape", ints(s.window)}, {"strides", ints(s.stride)},
                   {"pads", ints(padding)}, {"count_include_pad", int64_t(s.count_padding)}}));
}

// ONNX has none but the global one: an ordinary one where all windows are alike, else two matrices.
void adaptive_avg_pool2d(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &y = op.output;
  const int64_t h = x.dim(1), w = x.dim(2), to_h = y.dim(1), to_w = y.dim(2);
  std::string pooled, in = g.want(x, channels_first);
  if (to_h * to_w == 1) {
    pooled = g.node("GlobalAveragePool", {in});
  } else if (h % to_h == 0 && w % to_w == 0) {
    const Shape each{h / to_h, w / to_w};
    pooled = g.node("AveragePool", {in}, {{"kernel_shape", each}, {"strides", each}});
  } else {
    const Tensor rows = windows(h, to_h, false), columns = windows(w, to_w, true);
    std::string upright = g.node("MatMul", {g.constant(rows, rows.shape()), in});
    pooled = g.node("MatMul", {upright, g.constant(columns, columns.shape())});
  }
  g.define(y, channels_first, pooled);
}

void global_avg_pool(OnnxBuilder& g, const TracedOp& op) {
  std::string map = g.node("GlobalAveragePool", {g.want(op.inputs[0], channels_first)});
  g.define(op.output, plain, g.node("Flatten", {map}, {{"axis", int64_t(1)}}));
}

}  // namespace graft::onnx_ops
