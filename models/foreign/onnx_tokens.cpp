// Tokens in ONNX.
#include <cmath>

#include "models/foreign/onnx_ops.h"

namespace graft::onnx_ops {

using enum Layout;

// (N,T,3C) -> three of (N,T,C) -> heads (N,heads,T,D), the keys (N,heads,D,T).
void attention(OnnxBuilder& g, const TracedOp& op) {
  const Tensor& qkv = op.inputs[0];
  const Tensor &bias = op.inputs[1], &mask = op.inputs[2];
  const AttentionSpec spec = option<AttentionSpec>(op);
  const int64_t heads = spec.heads, tokens = qkv.dim(1), c = qkv.dim(2) / 3, d = c / heads;
  auto parts = g.nodes("Split", {g.want(qkv, plain)}, {{"axis", int64_t(2)}}, 3);
  auto of_heads = [&](size_t part, const Shape& order) {
    return g.transpose(g.reshape(parts[part], {-1, tokens, heads, d}), order);
  };
  std::string q = of_heads(0, {0, 2, 1, 3}), k = of_heads(1, {0, 2, 3, 1}),
              v = of_heads(2, {0, 2, 1, 3});
  std::string scores = g.node("MatMul", {q, k});
  if (spec.scaled) scores = g.node("Mul", {scores, g.number(1 / std::sqrt(float(d)))});
  if (bias.defined()) scores = g.node("Add", {scores, g.constant(bias, bias.shape())});
  if (mask.defined()) {  // one for every window of an image
    const int64_t masks = mask.dim(0);
    std::string apart = g.constant(mask, {masks, 1, tokens, tokens});
    std::string windows = g.reshape(scores, {-1, masks, heads, tokens, tokens});
    scores = g.reshape(g.node("Add", {windows, apart}), {-1, heads, tokens, tokens});
  }
  std::string shares = g.node("Softmax", {scores}, {{"axis", int64_t(-1)}});
  std::string mixed = g.transpose(g.node("MatMul", {shares, v}), {0, 2, 1, 3});
  g.define(op.output, plain, g.reshape(mixed, {-1, tokens, c}));
}

void cosine_heads(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &qkv = op.inputs[0], &logs = op.inputs[1];
  const int64_t heads = logs.size(), c = qkv.dim(2) / 3;
  auto parts = g.nodes("Split", {g.want(qkv, plain)}, {{"axis", int64_t(2)}}, 3);
  auto unit = [&](size_t part) {
    std::string by_head = g.reshape(parts[part], {-1, qkv.dim(1), heads, c / heads});
    return g.node("LpNormalization", {by_head}, {{"axis", int64_t(-1)}, {"p", int64_t(2)}});
  };
  auto joined = [&](const std::string& x) { return g.reshape(x, {-1, qkv.dim(1), c}); };
  std::string log = g.node("Min", {g.constant(logs, {heads, 1}), g.number(std::log(100.0f))});
  std::string q = joined(g.node("Mul", {unit(0), g.node("Exp", {log})})), k = joined(unit(1));
  g.define(op.output, plain, g.node("Concat", {q, k, parts[2]}, {{"axis", int64_t(2)}}));
}

void add_tokens(OnnxBuilder& g, const TracedOp& op) {
  const Tensor &x = op.inputs[0], &first = op.inputs[1], &positions = op.inputs[2];
  std::string token = g.expand(g.constant(first, {1, 1, x.dim(2)}), 3);
  std::string tokens = g.node("Concat", {token, g.want(x, plain)}, {{"axis", int64_t(1)}});
  g.define(op.output, plain,
           g.node("Add", {tokens, g.constant(positions, {1, x.dim(1) + 1, x.dim(2)})}));
}

}  // namespace graft::onnx_ops
