// Residual networks (He et al., CVPR 2016; the stride on the 3x3 as in torchvision, "v1.5", or on the
// first 1x1 as published and in Keras, "v1"), wide ones (Zagoruyko & Komodakis, 2016) and ResNeXt
// (Xie et al., CVPR 2017), whose 3x3 is in groups.
#include <array>

#include "layers/conv_norm_act.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/sequential.h"
#include "models/families.h"

namespace graft {
namespace {

struct Table {
  std::array<int, 4> blocks;      // per stage; 0 ends the network earlier
  int width = 64;                 // channels of the first stage
  bool small_input = false;       // 3x3 stem without pooling, for images of some 32 pixels
  int groups = 1;                 // of the 3x3 in a bottleneck,
  int group_width = 64;           // and the channels of each in the first stage
  bool stride_first = false;      // of a bottleneck: on its first 1x1, not on its 3x3
  bool bias = false;              // of the convolutions
  float eps = 1e-5f, momentum = 0.1f;  // of the norms

  Conv2d conv(int kernel, int64_t in, int64_t out, int stride = 1, int groups = 1) const {
    return Conv2d(in, out, {.kernel = kernel, .stride = stride, .padding = kernel / 2,
                            .groups = groups, .bias = bias});
  }
  BatchNorm2d norm(int64_t channels) const { return BatchNorm2d(channels, eps, momentum); }
};

// Keras stores momentum 0.99, the part of the old value: 0.01 is that of the new.
Table keras_v1(std::array<int, 4> blocks) {
  return {.blocks = blocks, .stride_first = true, .bias = true, .eps = 1.001e-5f, .momentum = 0.01f};
}

// Matches the shortcut to the block's result where the shapes differ.
std::unique_ptr<Sequential> make_downsample(int64_t in, int64_t out, int stride, const Table& table) {
  if (in == out && stride == 1) return nullptr;
  auto shortcut = std::make_unique<Sequential>();
  shortcut->add(table.conv(1, in, out, stride)).add(table.norm(out));
  return shortcut;
}

class BasicBlock : public Module {
 public:
  static constexpr int kExpansion = 1;
  BasicBlock(int64_t in, int64_t width, int stride, const Table& table)
      : conv1(table.conv(3, in, width, stride)), bn1(table.norm(width)),
        conv2(table.conv(3, width, width)), bn2(table.norm(width)),
        downsample(make_downsample(in, width, stride, table)) {}

  Tensor forward(Tensor x) override {
    Tensor y = conv_norm_act(x, conv1, &bn1, Activation::relu);
    if (downsample) x = (*downsample)(std::move(x));
    return conv_norm_act(std::move(y), conv2, &bn2, Activation::relu, std::move(x));
  }
  std::string describe() const override { return "BasicBlock"; }
  GRAFT_FIELDS(conv1, bn1, conv2, bn2, downsample)

  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  std::unique_ptr<Sequential> downsample;
};

class Bottleneck : public Module {
 public:
  static constexpr int kExpansion = 4;
  Bottleneck(int64_t in, int64_t width, int stride, const Table& table)
      : Bottleneck(in, width * table.group_width / 64 * table.groups, width * kExpansion,
                   table.stride_first ? stride : 1, table.stride_first ? 1 : stride, table) {}

  Tensor forward(Tensor x) override {
    Tensor y = conv_norm_act(x, conv1, &bn1, Activation::relu);
    y = conv_norm_act(std::move(y), conv2, &bn2, Activation::relu);
    if (downsample) x = (*downsample)(std::move(x));
    return conv_norm_act(std::move(y), conv3, &bn3, Activation::relu, std::move(x));
  }
  std::string describe() const override { return "Bottleneck"; }
  GRAFT_FIELDS(conv1, bn1, conv2, bn2, conv3, bn3, downsample)

  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  Conv2d conv3;
  BatchNorm2d bn3;
  std::unique_ptr<Sequential> downsample;

 private:
  Bottleneck(int64_t in, int64_t narrow, int64_t out, int stride1, int stride2, const Table& table)
      : conv1(table.conv(1, in, narrow, stride1)), bn1(table.norm(narrow)),
        conv2(table.conv(3, narrow, narrow, stride2, table.groups)), bn2(table.norm(narrow)),
        conv3(table.conv(1, narrow, out)), bn3(table.norm(out)),
        downsample(make_downsample(in, out, stride1 * stride2, table)) {}
};

template <class Block> class ResNet : public Classifier {
 public:
  ResNet(const Table& table, int64_t classes)
      : conv1(make_stem(table)), bn1(table.norm(table.width)), maxpool_(3, 2, 1),
        small_input_(table.small_input) {
    int64_t channels = table.width;
    for (int stage = 0; stage < 4; ++stage) {
      int64_t width = int64_t(table.width) << stage;
      for (int block = 0; block < table.blocks[stage]; ++block) {
        stages_[stage]->add(Block(channels, width, stage > 0 && block == 0 ? 2 : 1, table));
        channels = width * Block::kExpansion;
      }
      channels_[stage] = channels;
    }
    fc = std::make_unique<Linear>(channels, classes);
  }

  Steps steps() override {
    Steps steps{{{"conv1", "bn1"}, [this](Tensor x) {
      return conv_norm_act(std::move(x), conv1, &bn1, Activation::relu);
    }}};
    if (!small_input_)
      steps.push_back({{}, [this](Tensor x) { return maxpool_(std::move(x)); }});
    for (int stage = 0; stage < used_; ++stage)
      append(steps, fmt::format("layer{}", stage + 1), *stages_[stage]);
    steps.push_back({{}, [](Tensor x) { return global_avg_pool(x); }});
    return steps;
  }
  Tensor head(Tensor features) override { return (*fc)(std::move(features)); }
  std::string head_path() const override { return "fc"; }
  std::string describe() const override { return architecture; }
  std::vector<std::string> stages() const override { return {"layer1", "layer2", "layer3"}; }
  GRAFT_FIELDS(conv1, bn1, layer1, layer2, layer3, layer4, fc)

  Conv2d conv1;
  BatchNorm2d bn1;
  Sequential layer1, layer2, layer3, layer4;
  std::unique_ptr<Module> fc;

 private:
  static Conv2d make_stem(const Table& table) {
    return table.small_input ? table.conv(3, 3, table.width) : table.conv(7, 3, table.width, 2);
  }
  Module& head_layer() override { return *fc; }
  void set_head(std::unique_ptr<Module> layer) override { fc = std::move(layer); }
  int64_t head_inputs() override { return channels_[used_ - 1]; }
  void drop_behind(size_t stage) override {
    used_ = int(stage) + 1;
    for (int behind = used_; behind < 4; ++behind) *stages_[behind] = Sequential();
  }

  MaxPool2d maxpool_;
  bool small_input_;
  Sequential* const stages_[4] = {&layer1, &layer2, &layer3, &layer4};
  int64_t channels_[4];  // that come out of each stage
  int used_ = 4;         // stages of the trunk
};

template <class Block>
ZooRow row(const char* name, Table table, int64_t parameters, int resize = 256) {
  return {name, [=](int64_t classes) { return std::make_unique<ResNet<Block>>(table, classes); },
          parameters, {.resize = resize}};
}

}  // namespace

std::span<const ZooRow> resnet_rows() {
  static const ZooRow rows[] = {
      row<BasicBlock>("resnet18", {{2, 2, 2, 2}}, 11689512),
      row<BasicBlock>("resnet34", {{3, 4, 6, 3}}, 21797672),
      row<Bottleneck>("resnet50", {{3, 4, 6, 3}}, 25557032),
      row<Bottleneck>("resnet101", {{3, 4, 23, 3}}, 44549160),
      row<Bottleneck>("resnet152", {{3, 8, 36, 3}}, 60192808),
      row<Bottleneck>("wide_resnet50_2", {.blocks = {3, 4, 6, 3}, .group_width = 128},
                      68883240, 232),
      row<Bottleneck>("wide_resnet101_2", {.blocks = {3, 4, 23, 3}, .group_width = 128},
                      126886696, 232),
      row<Bottleneck>("resnext50_32x4d", {.blocks = {3, 4, 6, 3}, .groups = 32, .group_width = 4},
                      25028904, 232),
      row<Bottleneck>("resnext101_32x8d", {.blocks = {3, 4, 23, 3}, .groups = 32, .group_width = 8},
                      88791336, 232),
      row<Bottleneck>("resnext101_64x4d", {.blocks = {3, 4, 23, 3}, .groups = 64, .group_width = 4},
                      83455272, 232),
      row<Bottleneck>("resnet50_v1", keras_v1({3, 4, 6, 3}), 25583592),
      row<Bottleneck>("resnet101_v1", keras_v1({3, 4, 23, 3}), 44601832),
      row<Bottleneck>("resnet152_v1", keras_v1({3, 8, 36, 3}), 60268520),
      // Ours, for small pictures.
      {"resnet10_small",
       [](int64_t classes) {
         Table table{.blocks = {1, 1, 1, 1}, .width = 16, .small_input = true};
         return std::make_unique<ResNet<BasicBlock>>(table, classes);
       },
       308826, {.resize = 36, .crop = 32}, 10},
  };
  return rows;
}

}  // namespace graft
