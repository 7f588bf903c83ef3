// The table of operations: one row per operation and shape, run by the gradient check
// (core_ops_test.cpp). A new operation gets its rows here. Shapes are small, odd and not multiples
// of the vector width; bench/ops_bench.cpp makes rows of real sizes with the same makers.
#pragma once
#include "tests/op_case.h"

namespace graft::tests {

inline std::vector<OpCase> matrix_cases() {
  using enum Activation;
  return {
      conv_case("1x1", {{2, 5, 7, 6}, {9, 1, 1, 6}}),
      conv_case("1x1_stride2", {{2, 7, 5, 6}, {8, 1, 1, 6}, {.stride = {2, 2}}}),
      conv_case("3x3_bias", {{2, 6, 5, 3}, {7, 3, 3, 3}, {.padding = {1, 1, 1, 1}}, true}),
      conv_case("3x3_16", {{1, 6, 6, 16}, {16, 3, 3, 16}, {.padding = {1, 1, 1, 1}}}),
      conv_case("7x7_stride2",
                {{1, 13, 11, 3}, {5, 7, 7, 3}, {.stride = {2, 2}, .padding = {3, 3, 3, 3}}}),
      conv_case("same_even",
                {{1, 8, 6, 4}, {5, 3, 3, 4}, {.stride = {2, 2}, .padding = {0, 0, 1, 1}}, true}),
      conv_case("asymmetric",
                {{2, 5, 6, 3}, {4, 3, 2, 3}, {.stride = {2, 1}, .padding = {0, 2, 1, 0}}, true}),
      conv_case("dilated",
                {{1, 9, 8, 3}, {4, 3, 3, 3}, {.padding = {2, 2, 2, 2}, .dilation = {2, 2}}}),
      conv_case("groups",
                {{2, 5, 5, 6}, {8, 3, 3, 3}, {.padding = {1, 1, 1, 1}, .groups = 2}, true}),
      conv_case("depthwise",
                {{2, 6, 7, 10}, {10, 3, 3, 1}, {.padding = {1, 1, 1, 1}, .groups = 10}}),
      conv_case("depthwise_stride2", {{1, 7, 7, 5},
                                      {5, 5, 5, 1},
                                      {.stride = {2, 2}, .padding = {1, 2, 2, 1}, .groups = 5},
                                      true}),
      conv_case("single_pixel", {{1, 1, 1, 3}, {2, 1, 1, 3}, {}, true}),
      conv_case("whole_image", {{2, 3, 4, 5}, {6, 3, 4, 5}}),
      conv_case("relu_residual",
                {{2, 4, 5, 6}, {7, 3, 3, 6}, {.padding = {1, 1, 1, 1}}, true, true, relu}),
      conv_case("relu6", {{2, 5, 5, 4}, {6, 3, 3, 4}, {}, true, false, relu6}),
      conv_case("silu_residual", {{1, 4, 4, 3}, {5, 1, 1, 3}, {}, true, true, silu}),
      conv_case("sigmoid", {{1, 3, 4, 3}, {5, 1, 1, 3}, {}, false, false, sigmoid}),
      linear_case("bias", 3, 5, 7, true),
      linear_case("single_row", 1, 17, 4, true),
      linear_case("no_bias", 4, 3, 33, false),
      linear_case("relu", 5, 6, 4, true, relu),
      {.name = "linear_map",
       .inputs = {{{2, 3, 5}}, {{4, 5}}, {{4}}},
       .call = [](const auto& t) { return linear(t[0], t[1], t[2]); },
       .meaning =
           [](const auto& v) { return reference::linear(6, 5, 4, v[0], v[1], v[2], none); },
       .tolerance = 1e-5},
      matmul_case(3, 5, 7),
      matmul_case(1, 19, 1),
  };
}

inline std::vector<OpCase> norm_cases() {
  using enum Activation;
  return {
      batch_norm_case("plain", {3, 4, 5, 7}, true, none, false),
      batch_norm_case("two_rows", {2, 3}, true, none, false),
      batch_norm_case("relu", {2, 3, 5, 17}, true, relu, false),
      batch_norm_case("relu_residual", {2, 5, 3, 6}, true, relu, true),
      batch_norm_case("residual", {2, 3, 3, 5}, true, none, true),
      batch_norm_case("silu", {2, 4, 3, 5}, true, silu, false),
      batch_norm_case("silu_residual", {2, 3, 3, 4}, true, silu, true),
      batch_norm_case("sigmoid", {9, 4}, true, sigmoid, false),
      batch_norm_case("plain", {3, 4, 5, 7}, false, none, false),
      batch_norm_case("single_row", {1, 33}, false, none, false),
      batch_norm_case("relu6", {2, 3, 5, 17}, false, relu6, false),
      batch_norm_case("relu_residual", {2, 5, 3, 6}, false, relu, true),
      batch_norm_case("residual", {1, 2, 3, 5}, false, none, true),
      batch_norm_case("hardswish", {2, 4, 3, 5}, false, hardswish, false),
      batch_norm_case("gelu_residual", {2, 3, 3, 4}, false, gelu, true),
      layer_norm_case("map", {2, 3, 2, 19}),
      layer_norm_case("row", {1, 5}),
  };
}

// 35 images that share a bias and take turns with 7 masks: more than are summed in one go.
inline OpCase attention_mask_case() {
  Tensor mask = make_input({{7, 3, 3}}, "attention_mask", 9);
  return {.name = "attention_mask",
          .inputs = {{{35, 3, 6}}, {{1, 3, 3}}},
          .call = [=](const auto& t) { return attention(t[0], {1}, t[1], mask.to(t[0].device())); },
          .meaning =
              [=](const auto& v) {
                return reference::attention(35, 3, 2, 1, v[0], v[1],
                                            {mask.data(), mask.data() + mask.size()});
              },
          .tolerance = 1e-5};
}

inline OpCase cosine_case() {
  return {.name = "cosine_heads",
          .inputs = {{{2, 3, 18}}, {{2, 1, 1}, Fill::positive}},
          .call = [](const auto& t) { return cosine_heads(t[0], t[1]); },
          .meaning =
              [](const auto& v) {
                Values y = v[0];
                for (size_t at = 0; at < y.size(); at += 3) {
                  const size_t part = at % 18 / 6, head = at % 6 / 3;
                  const double length = std::hypot(y[at], y[at + 1], y[at + 2]);
                  for (size_t i = at; i < at + 3; ++i) {
                    if (part < 2) y[i] /= length;
                    if (part == 0) y[i] *= std::exp(v[1][head]);
                  }
                }
                return y;
              },
          .tolerance = 1e-5};
}

inline OpCase windows_case(std::string name, Shape x, WindowSpec s) {
  return {.name = "to_windows_" + name,
          .inputs = {{x}},
          .call = [=](const auto& t) { return to_windows(t[0], s); },
          .meaning = [=](const auto& v) {
            Values y;
            for (int64_t from : reference::window_pixels(x, s))
              for (int64_t c = 0; c < x[3]; ++c)
                y.push_back(from < 0 ? 0 : v[0][size_t(from * x[3] + c)]);
            return y;
          }};
}

inline OpCase windows_back_case(std::string name, Shape map, WindowSpec s) {
  const std::vector<int64_t> pixels = reference::window_pixels(map, s);
  const int64_t tokens = s.window[0] * s.window[1], c = map[3];
  return {.name = "from_windows_" + name,
          .inputs = {{{int64_t(pixels.size()) / tokens, tokens, c}}},
          .call = [=](const auto& t) { return from_windows(t[0], s, map); },
          .meaning = [=](const auto& v) {
            Values y(size_t(element_count(map)));
            for (size_t i = 0; i < v[0].size(); ++i)
              if (int64_t to = pixels[i / size_t(c)]; to >= 0)
                y[size_t(to * c) + i % size_t(c)] = v[0][i];
            return y;
          }};
}

inline OpCase merge_case(std::string name, Shape x) {
  return {.name = "merge_patches_" + name,
          .inputs = {{x}},
          .call = [](const auto& t) { return merge_patches(t[0]); },
          .meaning = [=](const auto& v) {
            Values y;
            for (int64_t n = 0; n < x[0]; ++n)
              for (int64_t i = 0; i < x[1]; i += 2)
                for (int64_t j = 0; j < x[2]; j += 2)
                  for (int64_t k = 0; k < 4; ++k)
                    for (int64_t c = 0; c < x[3]; ++c) {
                      const int64_t h = i + k % 2, w = j + k / 2;
                      y.push_back(h < x[1] && w < x[2]
                                      ? v[0][size_t(((n * x[1] + h) * x[2] + w) * x[3] + c)] : 0);
                    }
            return y;
          }};
}

inline OpCase lookup_case() {
  const std::vector<int64_t> rows{3, 0, 3, 2, 3, 4};
  Tensor index = Tensor::from<int64_t>({6}, rows);
  return {.name = "lookup",
          .inputs = {{{5, 3}}},
          .call = [=](const auto& t) { return lookup(t[0], index); },
          .meaning = [=](const auto& v) {
            Values y;
            for (size_t c = 0; c < 3; ++c)
              for (int64_t row : rows) y.push_back(v[0][size_t(row) * 3 + c]);
            return y;
          }};
}

inline std::vector<OpCase> token_cases() {
  return {
      {.name = "attention",
       .inputs = {{{2, 5, 18}}},
       .call = [](const auto& t) { return attention(t[0], {2}); },
       .meaning = [](const auto& v) { return reference::attention(2, 5, 6, 2, v[0]); },
       .tolerance = 1e-5},
      {.name = "attention_bias",
       .inputs = {{{3, 5, 18}}, {{2, 5, 5}}},
       .call = [](const auto& t) { return attention(t[0], {2}, t[1]); },
       .meaning = [](const auto& v) { return reference::attention(3, 5, 6, 2, v[0], v[1]); },
       .tolerance = 1e-5},
      {.name = "attention_unscaled",
       .inputs = {{{2, 3, 12}}},
       .call = [](const auto& t) { return attention(t[0], {2, false}); },
       .meaning = [](const auto& v) {
         Values qkv = v[0];
         for (size_t i = 0; i < qkv.size(); ++i) qkv[i] *= i % 12 < 4 ? std::sqrt(2.0) : 1;
         return reference::attention(2, 3, 4, 2, qkv);
       },
       .tolerance = 1e-5},
      attention_mask_case(),
      cosine_case(),
      windows_case("whole", {2, 4, 6, 3}, {{2, 3}}),
      windows_case("padded", {2, 5, 4, 3}, {{3, 3}, {1, 2}}),
      windows_case("one", {1, 2, 3, 5}, {{4, 4}}),
      windows_back_case("whole", {2, 4, 6, 3}, {{2, 3}, {1, 0}}),
      windows_back_case("padded", {1, 5, 4, 3}, {{3, 3}, {1, 2}}),
      merge_case("even", {2, 4, 6, 3}),
      merge_case("odd", {1, 5, 3, 2}),
      lookup_case(),
      {.name = "add_tokens",
       .inputs = {{{2, 3, 4}}, {{1, 1, 4}}, {{1, 4, 4}}},
       .call = [](const auto& t) { return add_tokens(t[0], t[1], t[2]); },
       .meaning =
           [](const auto& v) {
             Values y;
             for (size_t i = 0; i < 2; ++i)
               for (size_t j = 0; j < 16; ++j)
                 y.push_back(v[2][j] + (j < 4 ? v[1][j] : v[0][i * 12 + j - 4]));
             return y;
           }},
  };
}

inline std::vector<OpCase> elementwise_cases() {
  std::vector<OpCase> rows;
  for (Activation a : {Activation::relu, Activation::relu6, Activation::sigmoid, Activation::silu,
                       Activation::gelu, Activation::hardswish, Activation::hardsigmoid}) {
    rows.push_back(activation_case(a, {3, 5, 19}));
    rows.push_back(activation_case(a, {1}));
  }
  auto plus = [](double x, double y) { return x + y; };
  auto times = [](double x, double y) { return x * y; };
  rows.push_back(binary_case("add", {2, 3, 5}, {2, 3, 5}, add, plus));
  rows.push_back(binary_case("add_columns", {2, 3, 5}, {5}, add, plus));
  rows.push_back(binary_case("mul", {7, 3}, {7, 3}, mul, times));
  rows.push_back(binary_case("mul_columns", {4, 3}, {3}, mul, times));
  rows.push_back({.name = "mul_images",
                  .inputs = {{{2, 3, 4, 5}}, {{2, 1, 1, 5}}},
                  .call = [](const auto& t) { return mul_images(t[0], t[1]); },
                  .meaning =
                      [](const auto& v) {
                        Values y = v[0];
                        for (size_t i = 0; i < y.size(); ++i) y[i] *= v[1][i / 60 * 5 + i % 5];
                        return y;
                      }});
  rows.push_back({.name = "scale",
                  .inputs = {{{2, 9}}},
                  .call = [](const auto& t) { return scale(t[0], -1.5f); },
                  .meaning =
                      [](const auto& v) {
                        Values y = v[0];
                        for (double& value : y) value *= -1.5;
                        return y;
                      }});
  return rows;
}

inline std::vector<OpCase> shape_cases() {
  return {
      {.name = "reshape",
       .inputs = {{{2, 6}}},
       .call =
           [](const auto& t) {
             return t[0].reshape({3, -1});
           },
       .meaning = [](const auto& v) { return v[0]; }},
      {.name = "flatten",
       .inputs = {{{2, 3, 2, 2}}},
       .call = [](const auto& t) { return flatten(t[0]); },
       .meaning = [](const auto& v) { return v[0]; }},
      {.name = "concat",
       .inputs = {{{2, 2, 3}}, {{2, 2, 1}}, {{2, 2, 4}}},
       .call = [](const auto& t) { return concat(t); },
       .meaning =
           [](const auto& v) {
             Values y;
             for (size_t row = 0; row < 4; ++row)
               for (size_t part = 0, width[] = {3, 1, 4}; part < 3; ++part)
                 for (size_t j = 0; j < width[part]; ++j)
                   y.push_back(v[part][row * width[part] + j]);
             return y;
           }},
      {.name = "channels",
       .inputs = {{{2, 3, 7}}},
       .call = [](const auto& t) { return channels(t[0], 2, 6); },
       .meaning =
           [](const auto& v) {
             Values y;
             for (size_t row = 0; row < 6; ++row)
               for (size_t j = 2; j < 6; ++j) y.push_back(v[0][row * 7 + j]);
             return y;
           }},
      {.name = "shuffle_channels",
       .inputs = {{{2, 3, 6}}},
       .call = [](const auto& t) { return shuffle_channels(t[0], 2); },
       .meaning =
           [](const auto& v) {
             Values y;
             for (size_t row = 0; row < 6; ++row)
               for (size_t j : {0, 3, 1, 4, 2, 5}) y.push_back(v[0][row * 6 + j]);
             return y;
           }},
      {.name = "pad",
       .inputs = {{{2, 2, 3, 2}}},
       .call =
           [](const auto& t) {
             return pad(t[0], {1, 0, 2, 3}, 0.5f);
           },
       .meaning =
           [](const auto& v) {
             Values y;
             for (int n = 0; n < 2; ++n)
               for (int h = -1; h < 4; ++h)
                 for (int w = 0; w < 6; ++w)
                   for (int c = 0; c < 2; ++c)
                     y.push_back(h >= 0 && h < 2 && w < 3
                                     ? v[0][size_t(((n * 2 + h) * 3 + w) * 2 + c)]
                                     : 0.5);
             return y;
           }},
  };
}

inline std::vector<OpCase> pool_cases() {
  return {
      pool_case("2x2", true, {2, 6, 4, 5}, {}),
      pool_case("odd", true, {1, 7, 5, 3}, {}),
      pool_case("ceil", true, {1, 7, 6, 3}, {.window = {3, 3}, .ceil_mode = true}),
      pool_case("overlap", true, {2, 7, 8, 67}, {.window = {3, 3}, .padding = {1, 1, 1, 1}}),
      pool_case("asymmetric", true, {1, 5, 6, 2},
                {.window = {3, 2}, .stride = {2, 1}, .padding = {0, 1, 1, 0}}),
      pool_case("gaps", true, {1, 8, 7, 4}, {.window = {2, 1}, .stride = {3, 2}}),
      pool_case("2x2", false, {2, 6, 4, 5}, {}),
      pool_case("overlap", false, {2, 5, 7, 3}, {.window = {3, 3}, .padding = {1, 1, 1, 1}}),
      pool_case("valid_count", false, {2, 5, 7, 3},
                {.window = {3, 3}, .padding = {1, 1, 1, 1}, .count_padding = false}),
      pool_case("ceil", false, {1, 6, 7, 2},
                {.window = {3, 2}, .padding = {1, 0, 1, 0}, .ceil_mode = true}),
      adaptive_case("uneven", {2, 7, 5, 3}, 3, 2),
      adaptive_case("larger", {1, 3, 2, 2}, 5, 4),
      adaptive_case("one", {2, 3, 3, 17}, 1, 1),
      {.name = "global_avg_pool",
       .inputs = {{{2, 3, 5, 7}}},
       .call = [](const auto& t) { return global_avg_pool(t[0]); },
       .meaning =
           [](const auto& v) {
             return reference::adaptive_avg_pool2d({2, 3, 5, 7}, 1, 1, v[0]);
           }},
  };
}

inline std::vector<OpCase> loss_cases() {
  auto total = [](const Values& x) {
    double sum = 0;
    for (double v : x) sum += v;
    return sum;
  };
  return {
      {.name = "sum",
       .inputs = {{{3, 7}}},
       .call = [](const auto& t) { return sum(t[0]); },
       .meaning = [=](const auto& v) { return Values{total(v[0])}; }},
      {.name = "mean",
       .inputs = {{{3, 7}}},
       .call = [](const auto& t) { return mean(t[0]); },
       .meaning = [=](const auto& v) { return Values{total(v[0]) / 21}; }},
      {.name = "softmax",
       .inputs = {{{3, 11}}},
       .call = [](const auto& t) { return softmax(t[0]); },
       .meaning = [](const auto& v) { return reference::softmax(11, v[0]); }},
      cross_entropy_case("plain", 5, 7, {}),
      cross_entropy_case("single_row", 1, 3, {}),
      cross_entropy_case("smoothed", 4, 5, {.label_smoothing = 0.1f}),
      cross_entropy_case("weighted", 4, 3, {.class_weights = Tensor::from({3}, {0.5f, 2, 1.25f})}),
      cross_entropy_case("both", 6, 4,
                         {.label_smoothing = 0.2f,
                          .class_weights = Tensor::from({4}, {1, 0.25f, 3, 0.5f})}),
  };
}

inline std::vector<OpCase> op_cases() {
  std::vector<OpCase> all;
  for (auto family :
       {matrix_cases, norm_cases, token_cases, elementwise_cases, shape_cases, pool_cases, loss_cases})
    for (OpCase& row : family()) all.push_back(std::move(row));
  return all;
}

}  // namespace graft::tests
