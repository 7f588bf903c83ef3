// What each operation of core/ops.h is in ONNX: a function here and its line in mappings().
#include <algorithm>
#include <cmath>

#include "core/ops.h"
#include "kernels/pool.h"
#include "models/onnx_builder.h"

namespace graft {
namespace {

using enum Layout;

template <class T> T option(const TracedOp& op) { return std::any_cast<T>(op.options); }

Shape ints(std::span<const int> values) { return {values.begin(), values.end()}; }

bool is_image(const Tensor& t) { return t.rank() == 4; }
Layout usual(const Tensor& t) { return is_image(t) ? channels_first : plain; }

// ---- elementwise -------------------------------------------------------------------------------

void define_like(OnnxBuilder& g, const TracedOp& op, const Tensor& x, Layout layout,
                 const std::string& name) {
  if (layout == channels_first) g.set_map(op.output, g.map(x));
  g.define(op.output, layout, name);
}

std::string activation(OnnxBuilder& g, Activation a, const std::string& x) {
  switch (a) {
    case Activation::none: return x;
    case Activation::relu: return g.node("Relu", {x});
    case Activation::relu6: return g.node("Clip", {x, g.number(0), g.number(6)});
    case Activation::sigmoid: return g.node("Sigmoid", {x});
    case Activation::silu: return g.node("Mul", {x, g.node("Sigmoid", {x})});
    case Activation::gelu: {  // x / 2 (1 + erf(x / sqrt 2))
      std::string erf = g.node("Erf", {g.node("Div", {x, g.number(std::sqrt(2.0f))})});
      std::string twice = g.node("Mul", {x, g.node("Add", {erf, g.number(1)})});
      return g.node("Mul", {twice, g.number(0.5f)});
    }
    case Activation::hardswish: return g.node("HardSwish", {x});
    case Activation::hardsigmoid:
      return g.node("HardSigmoid", {x}, {{"alpha", 1.0f / 6}, {"beta", 0.5f}});
  }
  fail(Fault::internal, "onnx: activation {}", int(a));
}

void activate(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  const Layout layout = g.at_hand(x);
  define_like(g, op, x, layout, activation(g, option<Activation>(op), g.want(x, layout)));
}

void scale(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  const Layout layout = g.at_hand(x);
  std::string factor = g.number(option<float>(op));
  define_like(g, op, x, layout, g.node("Mul", {g.want(x, layout), factor}));
}

// (C) along the channels of a value.
std::string per_channel(OnnxBuilder& g, const Tensor& t, Layout layout) {
  if (g.is_value(t)) return g.want(t, plain);
  return g.constant(t, layout == plain ? t.shape() : Shape{t.dim(0), 1, 1});
}

// Where both lie in the same way without being turned; a flattened map must be of the same map.
Layout common(OnnxBuilder& g, const Tensor& a, const Tensor& b) {
  bool first = g.has(a, channels_first) && g.has(b, channels_first) && g.map(a) == g.map(b);
  return first ? channels_first : plain;
}

void two(OnnxBuilder& g, const TracedOp& op, const char* type) {
  const Tensor &a = op.inputs[0], &b = op.inputs[1];
  if (a.shape() == b.shape()) {
    const Layout layout = common(g, a, b);
    return define_like(g, op, a, layout, g.node(type, {g.want(a, layout), g.want(b, layout)}));
  }
  const bool first = is_image(a) && g.at_hand(a) == channels_first && !g.is_value(b);
  const Layout layout = first ? channels_first : plain;
  g.define(op.output, layout, g.node(type, {g.want(a, layout), per_channel(g, b, layout)}, {}, b));
}

void mul_images(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &s = op.inputs[1];
  g.define(op.output, channels_first,
           g.node("Mul", {g.want(x, channels_first), g.want(s, channels_first)}));
}

// ---- convolution and matrix products -----------------------------------------------------------

void conv2d(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &w = op.inputs[1], &bias = op.inputs[2];
  const ConvSpec spec = option<ConvSpec>(op);
  std::vector<std::string> inputs{g.want(x, channels_first), g.published(w)};
  if (bias.defined()) inputs.push_back(g.constant(bias, bias.shape()));
  g.define(op.output, channels_first,
           g.node("Conv", inputs,
                  {{"kernel_shape", Shape{w.dim(1), w.dim(2)}}, {"strides", ints(spec.stride)},
                   {"pads", ints(spec.padding)}, {"dilations", ints(spec.dilation)},
                   {"group", int64_t(spec.groups)}},
                  w));
}

// Whether a matrix is published for the order in which this flattened map lies.
bool on_map(OnnxBuilder& g, const Tensor& x, const Tensor& w) {
  const Param* p = g.param(w);
  return p && p->layout == FileLayout::columns_chw && g.has(x, channels_first) &&
         g.map(x) == Shape{p->map_h, p->map_w, p->dim(1) / (p->map_h * p->map_w)};
}

void linear(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &w = op.inputs[1], &bias = op.inputs[2];
  const bool map = on_map(g, x, w);
  std::string in = g.want(x, map ? channels_first : plain);
  std::string matrix = map ? g.published(w) : g.want(w, plain);
  std::vector<std::string> inputs{in, matrix};
  if (bias.defined()) inputs.push_back(g.want(bias, plain));
  if (x.rank() == 2)
    return g.define(op.output, plain, g.node("Gemm", inputs, {{"transB", int64_t(1)}}, w));
  std::string y = g.node("MatMul", {in, g.transpose(matrix, {1, 0})}, {}, w);
  g.define(op.output, plain, bias.defined() ? g.node("Add", {y, inputs[2]}) : y);
}

void matmul(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &a = op.inputs[0], &b = op.inputs[1];
  g.define(op.output, plain, g.node("MatMul", {g.want(a, plain), g.want(b, plain)}));
}

// ---- normalisation -----------------------------------------------------------------------------

void batch_norm_frozen(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  GRAFT_CHECK(x.rank() == 2 || is_image(x), "onnx: batch norm of a value {}", x.shape());
  const Layout layout = usual(x);
  std::vector<std::string> inputs{g.want(x, layout)};
  for (size_t i = 1; i < 5; ++i) {
    const float nothing = i == 1 ? 1 : 0;  // gamma; beta
    Tensor t = op.inputs[i].defined() ? op.inputs[i] : Tensor::full({x.dim(-1)}, nothing);
    inputs.push_back(g.constant(t, t.shape()));
  }
  g.define(op.output, layout, g.node("BatchNormalization", inputs, {{"epsilon", option<float>(op)}},
                                     op.inputs[3]));
}

void layer_norm(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &gamma = op.inputs[1], &beta = op.inputs[2];
  g.define(op.output, plain,
           g.node("LayerNormalization", {g.want(x, plain), g.want(gamma, plain), g.want(beta, plain)},
                  {{"axis", int64_t(-1)}, {"epsilon", option<float>(op)}}, gamma));
}

void softmax(OnnxBuilder& g, const TracedOp& op) {
  g.define(op.output, plain,
           g.node("Softmax", {g.want(op.inputs[0], plain)}, {{"axis", int64_t(-1)}}));
}

// ---- tokens ------------------------------------------------------------------------------------

// (N,T,3C) -> three of (N,T,C) -> heads (N,heads,T,D), the keys (N,heads,D,T).
void attention(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& qkv = op.inputs[0];
  const int64_t heads = option<int>(op), tokens = qkv.dim(1), c = qkv.dim(2) / 3, d = c / heads;
  auto parts = g.nodes("Split", {g.want(qkv, plain)}, {{"axis", int64_t(2)}}, 3);
  auto of_heads = [&](size_t part, const Shape& order) {
    return g.transpose(g.reshape(parts[part], {-1, tokens, heads, d}), order);
  };
  std::string q = of_heads(0, {0, 2, 1, 3}), k = of_heads(1, {0, 2, 3, 1}),
              v = of_heads(2, {0, 2, 1, 3});
  std::string scaled = g.node("Mul", {g.node("MatMul", {q, k}), g.number(1 / std::sqrt(float(d)))});
  std::string shares = g.node("Softmax", {scaled}, {{"axis", int64_t(-1)}});
  std::string mixed = g.transpose(g.node("MatMul", {shares, v}), {0, 2, 1, 3});
  g.define(op.output, plain, g.reshape(mixed, {-1, tokens, c}));
}

void add_tokens(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &first = op.inputs[1], &positions = op.inputs[2];
  std::string token = g.expand(g.constant(first, {1, 1, x.dim(2)}), 3);
  std::string tokens = g.node("Concat", {token, g.want(x, plain)}, {{"axis", int64_t(1)}});
  g.define(op.output, plain,
           g.node("Add", {tokens, g.constant(positions, {1, x.dim(1) + 1, x.dim(2)})}));
}

// ---- shape -------------------------------------------------------------------------------------

void reshape(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &y = op.output;
  const bool flattens = is_image(x) && y.rank() == 2 && x.dim(0) == y.dim(0);
  if (!flattens || !g.has(x, channels_first))
    return g.define(y, plain, g.reshape(g.want(x, plain), g.shape(y)));
  std::string flat = g.node("Flatten", {g.want(x, channels_first)}, {{"axis", int64_t(1)}});
  if (x.dim(1) * x.dim(2) == 1) return g.define(y, plain, flat);
  g.set_map(y, {x.dim(1), x.dim(2), x.dim(3)});
  g.define(y, channels_first, flat);
}

void concat(OnnxBuilder& g, const TracedOp& op) {
  const Layout layout = usual(op.output);
  std::vector<std::string> parts;
  for (const Tensor& part : op.inputs) parts.push_back(g.want(part, layout));
  const int64_t axis = layout == channels_first ? 1 : op.output.rank() - 1;
  g.define(op.output, layout, g.node("Concat", parts, {{"axis", axis}}));
}

void channels(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  const Layout layout = usual(x);
  const auto [begin, end] = option<std::array<int64_t, 2>>(op);
  const int64_t axis = layout == channels_first ? 1 : x.rank() - 1;
  g.define(op.output, layout, g.node("Slice", {g.want(x, layout), g.integers({begin}),
                                               g.integers({end}), g.integers({axis})}));
}

void shuffle_channels(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& x = op.inputs[0];
  const Layout layout = usual(x);
  const int64_t groups = option<int>(op);
  const Shape shape = g.shape(x, layout);
  const size_t axis = layout == channels_first ? 1 : shape.size() - 1;
  Shape split = shape, order(shape.size() + 1);
  split[axis] /= groups;
  split.insert(split.begin() + ptrdiff_t(axis), groups);
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  std::swap(order[axis], order[axis + 1]);
  g.define(op.output, layout,
           g.reshape(g.transpose(g.reshape(g.want(x, layout), split), order), shape));
}

std::string padded(OnnxBuilder& g, const std::string& x, std::array<int, 4> padding, float value) {
  auto [top, left, bottom, right] = padding;
  return g.node("Pad", {x, g.integers({0, 0, top, left, 0, 0, bottom, right}), g.number(value)});
}

void pad(OnnxBuilder& g, const TracedOp& op) {
  const auto [padding, value] = option<std::pair<std::array<int, 4>, float>>(op);
  g.define(op.output, channels_first,
           padded(g, g.want(op.inputs[0], channels_first), padding, value));
}

// ---- pooling -----------------------------------------------------------------------------------

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
    in = padded(g, in, s.padding, 0);
    for (size_t i = 0; i < 4; ++i) padding[i] -= s.padding[i];
    s.count_padding = false;
  }
  g.define(op.output, channels_first,
           g.node("AveragePool", {in},
                  {{"kernel_shape", ints(s.window)}, {"strides", ints(s.stride)},
                   {"pads", ints(padding)}, {"count_include_pad", int64_t(s.count_padding)}}));
}

// (out, in): the mean of every adaptive window.
Tensor windows(int64_t in, int64_t out, bool transposed) {
  const PoolAxis axis = adaptive_axis(in, out);
  Tensor matrix = Tensor::zeros(transposed ? Shape{in, out} : Shape{out, in});
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = axis.at(o).begin; i < axis.at(o).end; ++i)
      matrix.mutable_data()[transposed ? i * out + o : o * in + i] = 1.0f / float(axis.at(o).divisor);
  return matrix;
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

using Mapping = void (*)(OnnxBuilder&, const TracedOp&);

const std::map<std::string_view, Mapping>& mappings() {
  static const std::map<std::string_view, Mapping> all{
      {"activate", activate},
      {"adaptive_avg_pool2d", adaptive_avg_pool2d},
      {"add", [](OnnxBuilder& g, const TracedOp& op) { two(g, op, "Add"); }},
      {"add_tokens", add_tokens},
      {"attention", attention},
      {"avg_pool2d", avg_pool2d},
      {"batch_norm_frozen", batch_norm_frozen},
      {"channels", channels},
      {"concat", concat},
      {"conv2d", conv2d},
      {"global_avg_pool", global_avg_pool},
      {"layer_norm", layer_norm},
      {"linear", linear},
      {"matmul", matmul},
      {"max_pool2d", max_pool2d},
      {"mul", [](OnnxBuilder& g, const TracedOp& op) { two(g, op, "Mul"); }},
      {"mul_images", mul_images},
      {"pad", pad},
      {"reshape", reshape},
      {"scale", scale},
      {"shuffle_channels", shuffle_channels},
      {"softmax", softmax},
  };
  return all;
}

}  // namespace

void add_to_onnx(const TracedOp& op, OnnxBuilder& graph) {
  auto mapping = mappings().find(op.name);
  GRAFT_CHECK(mapping != mappings().end(),
              "onnx: the network uses the operation {}, for which no form in ONNX is known", op.name);
  mapping->second(graph, op);
}

}  // namespace graft
