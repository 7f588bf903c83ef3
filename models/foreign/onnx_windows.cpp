// Windows of maps in ONNX: (N,H,W,C) as (N,rows,height,columns,width,C) and turned.
#include "models/foreign/onnx_ops.h"

namespace graft::onnx_ops {

using enum Layout;

namespace {

struct Windows {
  int64_t height, width, rows, columns;
  Windows(const Tensor& map, std::array<int, 2> window)
      : height(window[0]), width(window[1]), rows((map.dim(1) + height - 1) / height),
        columns((map.dim(2) + width - 1) / width) {}
  int64_t down() const { return rows * height; }  // pixels of whole windows
  int64_t right() const { return columns * width; }
};

std::string part(OnnxBuilder& g, const std::string& x, int64_t axis, int64_t begin, int64_t end) {
  return g.node("Slice", {x, g.integers({begin}), g.integers({end}), g.integers({axis})});
}

// What comes before pixel `first` is moved behind the last one.
std::string rolled(OnnxBuilder& g, const std::string& x, int64_t axis, int64_t first, int64_t size) {
  if (first % size == 0) return x;
  return g.node("Concat", {part(g, x, axis, first, size), part(g, x, axis, 0, first)},
                {{"axis", axis}});
}

std::string padded(OnnxBuilder& g, const Tensor& x, const Windows& w) {
  std::string map = g.want(x, plain);
  if (w.down() == x.dim(1) && w.right() == x.dim(2)) return map;
  Shape padding{0, 0, 0, 0, 0, w.down() - x.dim(1), w.right() - x.dim(2), 0};
  return g.node("Pad", {map, g.integers(padding), g.number(0)});
}

}  // namespace

void to_windows(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  const WindowSpec spec = option<WindowSpec>(op);
  const Windows w(x, spec.window);
  std::string map = rolled(g, padded(g, x, w), 1, spec.shift[0], w.down());
  map = rolled(g, map, 2, spec.shift[1], w.right());
  map = g.reshape(map, {-1, w.rows, w.height, w.columns, w.width, x.dim(3)});
  map = g.transpose(map, {0, 1, 3, 2, 4, 5});
  g.define(op.output, plain, g.reshape(map, {-1, w.height * w.width, x.dim(3)}));
}

void from_windows(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& map = op.output;
  const WindowSpec spec = option<WindowSpec>(op);
  const Windows w(map, spec.window);
  std::string y = g.want(op.inputs[0], plain);
  y = g.reshape(y, {-1, w.rows, w.columns, w.height, w.width, map.dim(3)});
  y = g.reshape(g.transpose(y, {0, 1, 3, 2, 4, 5}), {-1, w.down(), w.right(), map.dim(3)});
  y = rolled(g, y, 1, w.down() - spec.shift[0], w.down());
  y = rolled(g, y, 2, w.right() - spec.shift[1], w.right());
  if (w.down() != map.dim(1)) y = part(g, y, 1, 0, map.dim(1));
  if (w.right() != map.dim(2)) y = part(g, y, 2, 0, map.dim(2));
  g.define(map, plain, y);
}

void merge_patches(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  const Windows w(x, {2, 2});
  std::string y = g.reshape(padded(g, x, w), {-1, w.rows, 2, w.columns, 2, x.dim(3)});
  y = g.transpose(y, {0, 1, 3, 4, 2, 5});
  g.define(op.output, plain, g.reshape(y, {-1, w.rows, w.columns, 4 * x.dim(3)}));
}

}  // namespace graft::onnx_ops
