// DenseNet (Huang et al., CVPR 2017): every layer sees the maps of all before it in its block.
#include <algorithm>
#include <array>

#include "layers/activation.h"
#include "layers/conv_norm_act.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "models/chain.h"
#include "models/families.h"

namespace graft {
namespace {

struct Table {
  int growth;                 // channels that each layer adds
  std::array<int, 4> layers;  // per block
  int stem;                   // channels before the first block
  float eps = 1e-5f, momentum = 0.1f;  // of the norms

  BatchNorm2d norm(int64_t channels) const { return BatchNorm2d(channels, eps, momentum); }
};

Table keras(std::array<int, 4> layers) {
  return {32, layers, 64, /*eps=*/1.001e-5f, /*momentum=*/0.01f};
}

class DenseLayer : public Module {
 public:
  DenseLayer(int64_t in, const Table& table)
      : norm1(table.norm(in)), conv1(in, 4 * table.growth, {.bias = false}),
        norm2(table.norm(4 * table.growth)),
        conv2(4 * table.growth, table.growth, {.kernel = 3, .padding = 1, .bias = false}) {}

  Tensor forward(Tensor x) override {
    Tensor y = norm1.forward(x, Activation::relu, {});
    y = conv_norm_act(std::move(y), conv1, &norm2, Activation::relu);
    return concat({x, conv2(std::move(y))});
  }
  std::string describe() const override { return "DenseLayer"; }
  GRAFT_FIELDS(norm1, conv1, norm2, conv2)

  BatchNorm2d norm1;
  Conv2d conv1;
  BatchNorm2d norm2;
  Conv2d conv2;
};

Sequential dense_block(int64_t in, const Table& table, int layers) {
  Sequential block;
  for (int i = 0; i < layers; ++i)
    block.add(fmt::format("denselayer{}", i + 1), DenseLayer(in + i * table.growth, table));
  return block;
}

// Halves channels and sides.
Sequential transition(int64_t in, const Table& table) {
  Sequential layers;
  layers.add("norm", table.norm(in)).add("relu", relu_layer());
  layers.add("conv", Conv2d(in, in / 2, {.bias = false})).add("pool", AvgPool2d(2, 2));
  return layers;
}

std::unique_ptr<Classifier> make(const Table& table, int64_t classes) {
  Sequential features, classifier;
  int64_t channels = table.stem;
  features.add("conv0",
               Conv2d(3, channels, {.kernel = 7, .stride = 2, .padding = 3, .bias = false}));
  features.add("norm0", table.norm(channels)).add("relu0", relu_layer());
  features.add("pool0", MaxPool2d(3, 2, 1));
  for (int i = 0; i < 4; ++i) {
    features.add(fmt::format("denseblock{}", i + 1),
                 dense_block(channels, table, table.layers[i]));
    channels += table.layers[i] * table.growth;
    if (i == 3) break;
    features.add(fmt::format("transition{}", i + 1), transition(channels, table));
    channels /= 2;
  }
  features.add("norm5", table.norm(channels)).add("relu5", relu_layer());
  classifier.add("classifier", Linear(channels, classes));
  return std::make_unique<Chain>(Chain::Part{"features", std::move(features)},
                                 Chain::Part{"", std::move(classifier)});
}

// What is "denselayer1.norm1.weight" now was "denselayer1.norm.1.weight" when the weights were made.
void tidy(TensorMap& published) {
  TensorMap renamed;
  for (auto& [name, tensor] : published) {
    std::string now = name;
    for (const char* part : {".norm.", ".conv."})
      if (size_t at = now.find(part); at != now.npos && std::isdigit(now[at + 6]))
        now.erase(at + 5, 1);
    renamed[now] = tensor;
  }
  published = std::move(renamed);
}

ZooRow row(const char* name, Table table, int64_t parameters) {
  return {name, [=](int64_t classes) { return make(table, classes); }, parameters, {}, 1000, tidy};
}

}  // namespace

std::span<const ZooRow> densenet_rows() {
  static const ZooRow rows[] = {
      row("densenet121", {32, {6, 12, 24, 16}, 64}, 7978856),
      row("densenet161", {48, {6, 12, 36, 24}, 96}, 28681000),
      row("densenet169", {32, {6, 12, 32, 32}, 64}, 14149480),
      row("densenet201", {32, {6, 12, 48, 32}, 64}, 20013928),
      row("densenet121_keras", keras({6, 12, 24, 16}), 7978856),
      row("densenet169_keras", keras({6, 12, 32, 32}), 14149480),
      row("densenet201_keras", keras({6, 12, 48, 32}), 20013928),
  };
  return rows;
}

}  // namespace graft
