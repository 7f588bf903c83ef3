// Swin transformers (Liu et al., ICCV 2021): attention within windows, which move by half their
// side from block to block, on maps that become smaller from stage to stage.
#include <array>

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
};

constexpr int kWindow = 7;
constexpr int kSide = 224;  // of the image that windows divide without rest in every stage
constexpr float kEps = 1e-5f;

class SwinBlock : public Module {
 public:
  SwinBlock(int64_t width, int heads, bool shifted, float drop)
      : norm1(width, kEps), attn(width, heads, kWindow, shifted), stochastic_depth(drop),
        norm2(width, kEps), stochastic_depth2(drop) {
    mlp.add("0", Linear(width, 4 * width)).add("1", Activate(Activation::gelu));
    mlp.add("3", Linear(4 * width, width));
  }

  Tensor forward(Tensor x) override {
    x = add(stochastic_depth(attn(norm1(x))), x);
    return add(stochastic_depth2(mlp(norm2(x))), x);
  }
  std::string describe() const override { return "SwinBlock"; }
  GRAFT_FIELDS(norm1, attn, stochastic_depth, norm2, mlp, stochastic_depth2)

  LayerNorm norm1;
  WindowAttention attn;
  StochasticDepth stochastic_depth;
  LayerNorm norm2;
  Sequential mlp;
  StochasticDepth stochastic_depth2;
};

// Every 2x2 pixels as one, of twice the width.
class PatchMerging : public Module {
 public:
  explicit PatchMerging(int64_t width)
      : norm(4 * width, kEps), reduction(4 * width, 2 * width, /*biased=*/false) {}
  Tensor forward(Tensor x) override { return reduction(norm(merge_patches(x))); }
  std::string describe() const override { return "PatchMerging"; }
  GRAFT_FIELDS(norm, reduction)

  LayerNorm norm;
  Linear reduction;
};

std::unique_ptr<Classifier> make(const Table& t, int64_t classes) {
  int total = 0, number = 0;
  for (int blocks : t.blocks) total += blocks;
  int64_t width = t.width;
  Sequential trunk, features, stem, head;
  stem.add("0", Conv2d(3, width, {.kernel = 4, .stride = 4})).add("2", LayerNorm(width, kEps));
  features.add(std::move(stem));
  for (size_t stage = 0; stage < 4; ++stage) {
    Sequential blocks;
    for (int i = 0; i < t.blocks[stage]; ++i)
      blocks.add(SwinBlock(width, t.heads[stage], i % 2 == 1,
                           t.drop * float(number++) / float(total - 1)));
    features.add(std::move(blocks));
    if (stage == 3) break;
    features.add(PatchMerging(width));
    width *= 2;
  }
  trunk.add("features", std::move(features)).add("norm", LayerNorm(width, kEps));
  head.add("head", Linear(width, classes));
  return std::make_unique<Chain>(Chain::Part{"", std::move(trunk)}, Chain::Part{"", std::move(head)});
}

ZooRow row(const char* name, Table table, int64_t parameters, int resize) {
  return {name, [=](int64_t classes) { return make(table, classes); }, parameters,
          bicubic(resize, 224), 1000, nullptr, kSide};
}

}  // namespace

std::span<const ZooRow> swin_rows() {
  static const ZooRow rows[] = {
      row("swin_t", {96, {2, 2, 6, 2}, {3, 6, 12, 24}, 0.2f}, 28288354, 232),
      row("swin_s", {96, {2, 2, 18, 2}, {3, 6, 12, 24}, 0.3f}, 49606258, 246),
      row("swin_b", {128, {2, 2, 18, 2}, {4, 8, 16, 32}, 0.5f}, 87768224, 238),
  };
  return rows;
}

}  // namespace graft
