// Tokens in ONNX.
#include <cmath>

#include "models/onnx_ops.h"

namespace graft::onnx_ops {

using enum Layout;

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

}  // namespace graft::onnx_ops
