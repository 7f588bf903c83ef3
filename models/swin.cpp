// Swin transformers (Liu et al., ICCV 2021 and CVPR 2022): attention within windows, which move by
// half their side from block to block, on maps that become smaller from stage to stage.
#include <array>
#include <type_traits>

#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/layer_norm.h"
#include "layers/sequential.h"
#include "layers/stochastic_depth.h"
#include "layers/window_attention.h"
#include "models/chain.h"
#include "models/families.h"

namespace graft {
namespace {

struct Table {
  int width;                         // of the first stage; doubled from one to the next
  std::array<int, 4> blocks, heads;  // per stage
  float drop;                        // stochastic depth of the last block; from 0 it grows evenly
  bool second = false;               // Swin V2
  int window() const { return second ? 8 : 7; }
  int side() const { return 32 * window(); }  // of the image that windows divide in every stage
};

constexpr float kEps = 1e-5f;

// Norms stand before what they are for, in Swin V2 behind it.
template <class Attention>
class SwinBlock : public Module {
 public:
  SwinBlock(int64_t width, int heads, int window, bool shifted, float drop)
      : norm1(width, kEps), attn(width, heads, window, shifted), stochastic_depth(drop),
        norm2(width, kEps), stochastic_depth2(drop) {
    mlp.add("0", Linear(width, 4 * width)).add("1", Activate(Activation::gelu));
    mlp.add("3", Linear(4 * width, width));
  }

  Tensor forward(Tensor x) override {
    constexpr bool behind = std::is_same_v<Attention, WindowAttentionV2>;
    x = add(stochastic_depth(behind ? norm1(attn(x)) : attn(norm1(x))), x);
    return add(stochastic_depth2(behind ? norm2(mlp(x)) : mlp(norm2(x))), x);
  }
  std::string describe() const override { return "SwinBlock"; }
  GRAFT_FIELDS(norm1, attn, stochastic_depth, norm2, mlp, stochastic_depth2)

  LayerNorm norm1;
  Attention attn;
  StochasticDepth stochastic_depth;
  LayerNorm norm2;
  Sequential mlp;
  StochasticDepth stochastic_depth2;
};

// Every 2x2 pixels as one, of twice the width.
class PatchMerging : public Module {
 public:
  PatchMerging(int64_t width, bool second)
      : norm((second ? 2 : 4) * width, kEps), reduction(4 * width, 2 * width, /*biased=*/false),
        second_(second) {}
  Tensor forward(Tensor x) override {
    x = merge_patches(x);
    return second_ ? norm(reduction(std::move(x))) : reduction(norm(std::move(x)));
  }
  std::string describe() const override { return "PatchMerging"; }
  GRAFT_FIELDS(norm, reduction)

  LayerNorm norm;
  Linear reduction;

 private:
  bool second_;
};

template <class Attention>
Sequential make_stage(const Table& t, size_t stage, int64_t width, int number) {
  const int total = t.blocks[0] + t.blocks[1] + t.blocks[2] + t.blocks[3];
  Sequential blocks;
  for (int i = 0; i < t.blocks[stage]; ++i)
    blocks.add(SwinBlock<Attention>(width, t.heads[stage], t.window(), i % 2 == 1,
                                    t.drop * float(number + i) / float(total - 1)));
  return blocks;
}

std::unique_ptr<Classifier> make(const Table& t, int64_t classes) {
  int number = 0;
  int64_t width = t.width;
  Sequential trunk, features, stem, head;
  stem.add("0", Conv2d(3, width, {.kernel = 4, .stride = 4})).add("2", LayerNorm(width, kEps));
  features.add(std::move(stem));
  for (size_t stage = 0; stage < 4; ++stage) {
    if (stage > 0) features.add(PatchMerging(width, t.second)), width *= 2;
    features.add(t.second ? make_stage<WindowAttentionV2>(t, stage, width, number)
                          : make_stage<WindowAttentionV1>(t, stage, width, number));
    number += t.blocks[stage];
  }
  trunk.add("features", std::move(features)).add("norm", LayerNorm(width, kEps));
  head.add("head", Linear(width, classes));
  return std::make_unique<Chain>(Chain::Part{"", std::move(trunk)}, Chain::Part{"", std::move(head)});
}

ZooRow row(const char* name, Table table, int64_t parameters, int resize) {
  return {name, [=](int64_t classes) { return make(table, classes); }, parameters,
          bicubic(resize, table.side()), 1000, nullptr, table.side()};
}

}  // namespace

std::span<const ZooRow> swin_rows() {
  static const ZooRow rows[] = {
      row("swin_t", {96, {2, 2, 6, 2}, {3, 6, 12, 24}, 0.2f}, 28288354, 232),
      row("swin_s", {96, {2, 2, 18, 2}, {3, 6, 12, 24}, 0.3f}, 49606258, 246),
      row("swin_b", {128, {2, 2, 18, 2}, {4, 8, 16, 32}, 0.5f}, 87768224, 238),
      row("swin_v2_t", {96, {2, 2, 6, 2}, {3, 6, 12, 24}, 0.2f, true}, 28351570, 260),
      row("swin_v2_s", {96, {2, 2, 18, 2}, {3, 6, 12, 24}, 0.3f, true}, 49737442, 260),
      row("swin_v2_b", {128, {2, 2, 18, 2}, {4, 8, 16, 32}, 0.5f, true}, 87930848, 272),
  };
  return rows;
}

}  // namespace graft
