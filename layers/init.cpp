#include "layers/init.h"

#include <cmath>

#include "core/random.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/cosine_head.h"
#include "layers/layer_norm.h"
#include "layers/linear.h"
#include "layers/neighbour_head.h"
#include "layers/self_attention.h"
#include "layers/window_attention.h"

namespace graft {
namespace {

template <class Draw> void fill(Tensor& t, const Draw& draw) {
  float* values = t.mutable_data();
  for (int64_t i = 0, n = t.size(); i < n; ++i) values[i] = draw();
}

void initialize_conv(Conv2d& conv, Random random) {
  const Shape& s = conv.weight.shape();  // (O,H,W,I/groups)
  float deviation = std::sqrt(2.0f * float(conv.spec.groups) / float(s[0] * s[1] * s[2]));
  fill(conv.weight, [&] { return deviation * random.normal(); });
  if (conv.bias.defined()) fill(conv.bias, [] { return 0.0f; });
}

// Weight and bias uniform within 1 / sqrt(fan_in).
void initialize_uniform(Tensor& weight, Tensor& bias, Random random) {
  float bound = 1.0f / std::sqrt(float(weight.size() / weight.dim(0)));
  fill(weight, [&] { return random.uniform(-bound, bound); });
  if (bias.defined()) fill(bias, [&] { return random.uniform(-bound, bound); });
}

// Directions without a preference.
void initialize_cosine(CosineHead& head, Random random) {
  fill(head.weight, [&] { return random.normal(); });
  fill(head.log_scale, [] { return std::log(10.0f); });
}

// Nobody votes before images are stored.
void initialize_neighbours(NeighbourHead& head) { head.weight.clear(), head.images.clear(); }

void initialize_norm(Tensor& gamma, Tensor& beta) {
  fill(gamma, [] { return 1.0f; });
  fill(beta, [] { return 0.0f; });
}

}  // namespace

void initialize(Module& root, uint64_t seed) {
  each_module(root, [&](const std::string& path, Module& m) {
    Random random(seed, "init/" + path);
    if (auto* conv = dynamic_cast<Conv2d*>(&m)) initialize_conv(*conv, random);
    if (auto* matrix = dynamic_cast<Linear*>(&m))
      initialize_uniform(matrix->weight, matrix->bias, random);
    if (auto* attention = dynamic_cast<SelfAttention*>(&m))
      initialize_uniform(attention->in_proj_weight, attention->in_proj_bias, random);
    if (auto* cosine = dynamic_cast<CosineHead*>(&m)) initialize_cosine(*cosine, random);
    if (auto* attention = dynamic_cast<WindowAttentionV1*>(&m))
      fill(attention->relative_position_bias_table, [&] { return 0.02f * random.normal(); });
    if (auto* attention = dynamic_cast<WindowAttentionV2*>(&m))
      fill(attention->logit_scale, [] { return std::log(10.0f); });
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) initialize_norm(norm->weight, norm->bias);
    if (auto* norm = dynamic_cast<LayerNorm*>(&m)) initialize_norm(norm->weight, norm->bias);
  });
}

void initialize_head(Module& layer, uint64_t seed) {
  each_module(layer, [&](const std::string& path, Module& m) {
    Random random(seed, "init/head" + path);
    if (auto* conv = dynamic_cast<Conv2d*>(&m)) initialize_uniform(conv->weight, conv->bias, random);
    if (auto* matrix = dynamic_cast<Linear*>(&m))
      initialize_uniform(matrix->weight, matrix->bias, random);
    if (auto* cosine = dynamic_cast<CosineHead*>(&m)) initialize_cosine(*cosine, random);
    if (auto* neighbours = dynamic_cast<NeighbourHead*>(&m)) initialize_neighbours(*neighbours);
  });
}

void initialize_new_head(Module& layer, uint64_t seed) {
  auto* matrix = dynamic_cast<Linear*>(&layer);
  if (!matrix) return initialize_head(layer, seed);
  matrix->weight.clear();
  if (matrix->bias.defined()) matrix->bias.clear();
}

}  // namespace graft
