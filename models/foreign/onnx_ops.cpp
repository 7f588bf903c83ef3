// What each operation of core/ops.h is in ONNX: a function here and its line in mappings().
#include <cmath>
#include <map>
#include <string_view>

#include "models/foreign/onnx_ops.h"

namespace graft {
namespace onnx_ops {
namespace {

using enum Layout;

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
  std::vector<std::string> inputs{g.want(x, plain), g.want(gamma, plain), g.want(beta, plain)};
  g.define(op.output, plain,
           g.node("LayerNormalization", inputs,
                  {{"axis", int64_t(-1)}, {"epsilon", option<float>(op)}}, gamma));
}

void softmax(OnnxBuilder& g, const TracedOp& op) {
  g.define(op.output, plain,
           g.node("Softmax", {g.want(op.inputs[0], plain)}, {{"axis", int64_t(-1)}}));
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

void pad(OnnxBuilder& g, const TracedOp& op) {
  const auto [padding, value] = option<std::pair<std::array<int, 4>, float>>(op);
  g.define(op.output, channels_first, g.pad(g.want(op.inputs[0], channels_first), padding, value));
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
      {"cosine_heads", cosine_heads},
      {"from_windows", from_windows},
      {"global_avg_pool", global_avg_pool},
      {"layer_norm", layer_norm},
      {"linear", linear},
      {"matmul", matmul},
      {"max_pool2d", max_pool2d},
      {"merge_patches", merge_patches},
      {"mul", [](OnnxBuilder& g, const TracedOp& op) { two(g, op, "Mul"); }},
      {"mul_images", mul_images},
      {"pad", pad},
      {"reshape", reshape},
      {"scale", scale},
      {"shuffle_channels", shuffle_channels},
      {"softmax", softmax},
      {"to_windows", to_windows},
  };
  return all;
}

}  // namespace
}  // namespace onnx_ops

void add_to_onnx(const TracedOp& op, OnnxBuilder& graph) {
  const auto& known = onnx_ops::mappings();
  auto mapping = known.find(op.name);
  GRAFT_CHECK(mapping != known.end(),
              "onnx: the network uses the operation {}, of which no form in ONNX is known", op.name);
  mapping->second(graph, op);
}

}  // namespace graft
