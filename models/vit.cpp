// Vision transformers (Dosovitskiy et al., ICLR 2021): patches are tokens, and a token of its own
// learns to say what the image shows.
#include "core/random.h"
#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/layer_norm.h"
#include "layers/self_attention.h"
#include "layers/sequential.h"
#include "models/families.h"

namespace graft {
namespace {

struct Table {
  int patch, layers, heads, width, hidden;
};

constexpr int kSide = 224;  // of the image; the positions are learnt for its number of patches

class EncoderBlock : public Module {
 public:
  explicit EncoderBlock(const Table& t)
      : ln_1(t.width), self_attention(t.width, t.heads), ln_2(t.width) {
    mlp.add("0", Linear(t.width, t.hidden)).add("1", Activate(Activation::gelu));
    mlp.add("3", Linear(t.hidden, t.width));
  }

  Tensor forward(Tensor x) override {
    x = add(self_attention(ln_1(x)), x);
    return add(mlp(ln_2(x)), x);
  }
  std::string describe() const override { return "EncoderBlock"; }
  GRAFT_FIELDS(ln_1, self_attention, ln_2, mlp)

  LayerNorm ln_1;
  SelfAttention self_attention;
  LayerNorm ln_2;
  Sequential mlp;
};

class Encoder : public Module {
 public:
  explicit Encoder(const Table& t)
      : pos_embedding({1, 1 + (kSide / t.patch) * (kSide / t.patch), t.width}), ln(t.width) {
    for (int i = 0; i < t.layers; ++i)
      layers.add(fmt::format("encoder_layer_{}", i), EncoderBlock(t));
    Random random(0, "pos_embedding");
    float* values = pos_embedding.mutable_data();
    for (int64_t i = 0; i < pos_embedding.size(); ++i) values[i] = 0.02f * random.normal();
  }
  Tensor forward(Tensor tokens) override { return ln(layers(std::move(tokens))); }
  std::string describe() const override { return "Encoder"; }
  GRAFT_FIELDS(pos_embedding, layers, ln)

  Param pos_embedding;  // (1,T,C), added before the first layer
  Sequential layers;
  LayerNorm ln;
};

class VisionTransformer : public Classifier {
 public:
  VisionTransformer(const Table& t, int64_t classes)
      : class_token({1, 1, t.width}), conv_proj(3, t.width, {.kernel = t.patch, .stride = t.patch}),
        encoder(t) {
    class_token.copy_from(Tensor::zeros({1, 1, t.width}));
    heads.add("head", Linear(t.width, classes));
  }

  Steps steps() override {
    Steps steps{{{"class_token", "conv_proj", "encoder.pos_embedding"},
                 [this](Tensor x) { return tokens_of(std::move(x)); }}};
    append(steps, "encoder.layers", encoder.layers);
    steps.push_back({{"encoder.ln"}, [this](Tensor x) {
      x = encoder.ln(std::move(x));
      const int64_t width = x.dim(2);
      return channels(x.reshape({x.dim(0), x.dim(1) * width}), 0, width);  // of the class token
    }});
    return steps;
  }
  Tensor head(Tensor features) override { return heads(std::move(features)); }
  std::string head_path() const override { return "heads.head"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(class_token, conv_proj, encoder, heads)

  Param class_token;
  Conv2d conv_proj;
  Encoder encoder;
  Sequential heads;

 private:
  Tensor tokens_of(Tensor x) {
    GRAFT_CHECK(x.rank() == 4 && x.dim(1) == kSide && x.dim(2) == kSide,
                "{}: takes images of {}x{} pixels, not {}", architecture, kSide, kSide, x.shape());
    x = conv_proj(std::move(x));
    x = x.reshape({x.dim(0), x.dim(1) * x.dim(2), x.dim(3)});
    return add_tokens(x, class_token, encoder.pos_embedding);
  }
  Module& head_layer() override { return heads[0]; }
  void set_head(std::unique_ptr<Module> layer) override { heads.replace(0, std::move(layer)); }
};

ZooRow row(const char* name, Table table, int64_t parameters, int resize = 256) {
  return {name, [=](int64_t classes) { return std::make_unique<VisionTransformer>(table, classes); },
          parameters, {.resize = resize}, 1000, nullptr, kSide};
}

}  // namespace

std::span<const ZooRow> vit_rows() {
  static const ZooRow rows[] = {
      row("vit_b_16", {16, 12, 12, 768, 3072}, 86567656),
      row("vit_b_32", {32, 12, 12, 768, 3072}, 88224232),
      row("vit_l_16", {16, 24, 16, 1024, 4096}, 304326632, 242),
      row("vit_l_32", {32, 24, 16, 1024, 4096}, 306535400),
  };
  return rows;
}

}  // namespace graft
