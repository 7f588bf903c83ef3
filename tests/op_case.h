// A row of the table in op_cases.h, and makers for the families that have many rows: inputs, the
// call, what it means in double, how close f32 must come, and what it costs.
// Every input takes part in differentiation.
#pragma once
#include <functional>
#include <ostream>
#include <string>

#include "core/random.h"
#include "tests/op_references.h"

namespace graft::tests {

using reference::Values;

enum class Fill {
  normal,    // mean 0, deviation 1
  positive,  // [0.5, 1.5)
  spread,    // deviation 3, at least 0.05 away from the kinks of the activations
  distinct,  // a shuffle of steps of 0.1: no ties, the largest by a margin
};

struct OpInput {
  Shape shape;
  Fill fill = Fill::normal;
};

struct OpCase {
  std::string name;
  std::vector<OpInput> inputs;
  std::function<Tensor(const std::vector<Tensor>&)> call;
  std::function<Values(const std::vector<Values>&)> meaning;
  double flops = 0;         // of the forward pass
  double tolerance = 2e-6;  // of the forward pass, relative to its largest value
  bool composed = false;    // of several operations: several nodes
};

inline void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }

inline float fill_value(Fill fill, Random& random) {
  if (fill == Fill::normal) return random.normal();
  if (fill == Fill::positive) return 0.5f + random.uniform();
  while (true) {
    float v = 3 * random.normal(), nearest = 1;
    for (float kink : {-3.0f, 0.0f, 3.0f, 6.0f}) nearest = std::min(nearest, std::abs(v - kink));
    if (nearest > 0.05f) return v;
  }
}

inline Tensor make_input(const OpInput& input, std::string_view name, uint64_t index) {
  Random random(20, name, index);
  Tensor t(input.shape);
  float* values = t.mutable_data();
  const int64_t block =
      std::min<int64_t>(t.size(), 65536);  // repeated in the benchmarks' large ones
  for (int64_t i = 0; i < block; ++i)
    values[i] =
        input.fill == Fill::distinct ? 0.1f * float(i - block / 2) : fill_value(input.fill, random);
  if (input.fill == Fill::distinct)
    for (int64_t i = block; i > 1; --i) std::swap(values[i - 1], values[random.below(uint64_t(i))]);
  for (int64_t i = block; i < t.size(); ++i) values[i] = values[i - block];
  return t;
}

inline std::vector<Tensor> make_inputs(const OpCase& c) {
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) inputs.push_back(make_input(c.inputs[i], c.name, i));
  return inputs;
}

// ---- convolution and matrix products ----------------------------------------------------------
struct ConvCase {
  Shape x, w;  // (N,H,W,C), (O,R,S,C/groups)
  ConvSpec spec{};
  bool bias = false, residual = false;
  Activation activation = Activation::none;
};

inline Conv2dProblem problem_of(const ConvCase& c) {
  Conv2dProblem p{
      .n = c.x[0], .h = c.x[1], .w = c.x[2], .c = c.x[3], .k = c.w[0], .r = c.w[1], .s = c.w[2]};
  p.stride_h = c.spec.stride[0], p.stride_w = c.spec.stride[1];
  p.pad_top = c.spec.padding[0], p.pad_left = c.spec.padding[1];
  p.pad_bottom = c.spec.padding[2], p.pad_right = c.spec.padding[3];
  p.dilation_h = c.spec.dilation[0], p.dilation_w = c.spec.dilation[1];
  p.groups = c.spec.groups;
  return p;
}

inline OpCase conv_case(std::string name, const ConvCase& c) {
  Conv2dProblem p = problem_of(c);
  OpCase row{.name = "conv2d_" + name, .inputs = {{c.x}, {c.w}}};
  if (c.bias) row.inputs.push_back({{p.k}});
  if (c.residual) row.inputs.push_back({{p.n, p.out_h(), p.out_w(), p.k}});
  row.call = [c](const std::vector<Tensor>& in) {
    return conv2d(in[0], in[1], c.bias ? in[2] : Tensor(), c.spec, c.activation,
                  c.residual ? in.back() : Tensor());
  };
  row.meaning = [c, p](const std::vector<Values>& in) {
    return reference::conv2d(p, in[0], in[1], c.bias ? in[2] : Values(),
                             c.residual ? in.back() : Values(), c.activation);
  };
  row.flops = p.flops();
  row.tolerance = 1e-5;
  row.composed = !gradient_from_output(c.activation);
  return row;
}

inline OpCase linear_case(std::string name, int64_t n, int64_t in, int64_t out, bool bias,
                          Activation a = Activation::none) {
  OpCase row{.name = "linear_" + name, .inputs = {{{n, in}}, {{out, in}}}};
  if (bias) row.inputs.push_back({{out}});
  row.call = [=](const std::vector<Tensor>& t) {
    return linear(t[0], t[1], bias ? t[2] : Tensor(), a);
  };
  row.meaning = [=](const std::vector<Values>& v) {
    return reference::linear(n, in, out, v[0], v[1], bias ? v[2] : Values(), a);
  };
  row.flops = 2.0 * double(n * in * out);
  row.tolerance = 1e-5;
  row.composed = a != Activation::none;
  return row;
}

inline OpCase matmul_case(int64_t m, int64_t k, int64_t n) {
  return {.name = "matmul",
          .inputs = {{{m, k}}, {{k, n}}},
          .call = [](const std::vector<Tensor>& t) { return matmul(t[0], t[1]); },
          .meaning = [=](const auto& v) { return reference::matmul(m, k, n, v[0], v[1]); },
          .flops = 2.0 * double(m * k * n),
          .tolerance = 1e-5};
}

// ---- normalisation ----------------------------------------------------------------------------
inline OpCase batch_norm_case(std::string name, Shape x, bool train, Activation a, bool residual) {
  const int64_t c = x.back();
  OpCase row{.name = (train ? "batch_norm_train_" : "batch_norm_frozen_") + name,
             .inputs = {{x}, {{c}, Fill::positive}, {{c}}}};
  if (residual) row.inputs.push_back({x});
  Tensor mean = make_input({{c}}, row.name, 100),
         var = make_input({{c}, Fill::positive}, row.name, 101);
  reference::Moments moments{{mean.data(), mean.data() + c}, {var.data(), var.data() + c}};
  row.call = [=](const std::vector<Tensor>& t) {
    Tensor other = residual ? t[3] : Tensor();
    const Device where = t[0].device();
    return train ? batch_norm_train(t[0], t[1], t[2], mean.clone(where), var.clone(where), 0.1f, 1e-5f,
                                    a, other)
                 : batch_norm_frozen(t[0], t[1], t[2], mean.to(where), var.to(where), 1e-5f, a, other);
  };
  row.meaning = [=](const std::vector<Values>& v) {
    return reference::batch_norm(v[0], v[1], v[2],
                                 train ? reference::moments(v[0], size_t(c)) : moments, 1e-5, a,
                                 residual ? v[3] : Values());
  };
  row.tolerance = 1e-5;
  row.composed = residual && !gradient_from_output(a);
  return row;
}

inline OpCase layer_norm_case(std::string name, Shape x) {
  const int64_t c = x.back();
  return {.name = "layer_norm_" + name,
          .inputs = {{x}, {{c}, Fill::positive}, {{c}}},
          .call = [](const auto& t) { return layer_norm(t[0], t[1], t[2], 1e-6f); },
          .meaning =
              [=](const auto& v) {
                return reference::layer_norm(v[0], v[1], v[2], 1e-6);
              },
          .tolerance = 1e-5};
}

// ---- pooling ----------------------------------------------------------------------------------
inline OpCase pool_case(std::string name, bool maximum, Shape x, PoolSpec s) {
  return {
      .name = (maximum ? "max_pool2d_" : "avg_pool2d_") + name,
      .inputs = {{x, maximum ? Fill::distinct : Fill::normal}},
      .call = [=](const auto& t) { return maximum ? max_pool2d(t[0], s) : avg_pool2d(t[0], s); },
      .meaning = [=](const auto& v) { return reference::pool2d(maximum, x, s, v[0]); }};
}

inline OpCase adaptive_case(std::string name, Shape x, int oh, int ow) {
  return {
      .name = "adaptive_avg_pool2d_" + name,
      .inputs = {{x}},
      .call = [=](const auto& t) { return adaptive_avg_pool2d(t[0], oh, ow); },
      .meaning = [=](const auto& v) { return reference::adaptive_avg_pool2d(x, oh, ow, v[0]); }};
}

// ---- the rest ---------------------------------------------------------------------------------
inline OpCase activation_case(Activation a, Shape x) {
  return {.name = name_of(a),
          .inputs = {{x, Fill::spread}},
          .call = [=](const auto& t) { return activate(t[0], a); },
          .meaning = [=](const auto& v) { return reference::activate(a, v[0]); }};
}

// b is repeated along a.
inline OpCase binary_case(std::string name, Shape a, Shape b,
                          Tensor (*op)(const Tensor&, const Tensor&), double (*f)(double, double)) {
  return {.name = name,
          .inputs = {{a}, {b}},
          .call = [=](const auto& t) { return op(t[0], t[1]); },
          .meaning =
              [=](const auto& v) {
                Values y = v[0];
                for (size_t i = 0; i < y.size(); ++i) y[i] = f(y[i], v[1][i % v[1].size()]);
                return y;
              }};
}

inline OpCase cross_entropy_case(std::string name, int64_t rows, int64_t classes,
                                 CrossEntropySpec spec) {
  std::vector<int32_t> labels;
  Random random(7, name);
  for (int64_t i = 0; i < rows; ++i) labels.push_back(int32_t(random.below(uint64_t(classes))));
  Tensor wanted = Tensor::from<int32_t>({rows}, labels);
  return {.name = "cross_entropy_" + name,
          .inputs = {{{rows, classes}}},
          .call = [=](const auto& t) { return cross_entropy(t[0], wanted.to(t[0].device()), spec); },
          .meaning =
              [=](const auto& v) {
                return Values{reference::cross_entropy(size_t(classes), v[0], labels, spec)};
              }};
}

}  // namespace graft::tests
