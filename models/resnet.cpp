// Residual networks (He et al., CVPR 2016; the stride on the 3x3 as in torchvision, "v1.5"), wide
// ones (Zagoruyko & Komodakis, 2016) and ResNeXt (Xie et al., CVPR 2017), whose 3x3 is in groups.
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
};

Conv2d conv3x3(int64_t in, int64_t out, int stride, int groups = 1) {
  return Conv2d(in, out, {.kernel = 3, .stride = stride, .padding = 1, .groups = groups,
                          .bias = false});
}

Conv2d conv1x1(int64_t in, int64_t out, int stride = 1) {
  return Conv2d(in, out, {.kernel = 1, .stride = stride, .bias = false});
}

// Matches the shortcut to the block's result where the shapes differ.
std::unique_ptr<Sequential> make_downsample(int64_t in, int64_t out, int stride) {
  if (in == out && stride == 1) return nullptr;
  auto shortcut = std::make_unique<Sequential>();
  shortcut->add(conv1x1(in, out, stride)).add(BatchNorm2d(out));
  return shortcut;
}

class BasicBlock : public Module {
 public:
  static constexpr int kExpansion = 1;
  BasicBlock(int64_t in, int64_t width, int stride, const Table&)
      : conv1(conv3x3(in, width, stride)), bn1(width), conv2(conv3x3(width, width, 1)), bn2(width),
        downsample(make_downsample(in, width, stride)) {}

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
      : Bottleneck(in, width * table.group_width / 64 * table.groups, width * kExpansion, stride,
                   table.groups) {}

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
  Bottleneck(int64_t in, int64_t narrow, int64_t out, int stride, int groups)
      : conv1(conv1x1(in, narrow)), bn1(narrow), conv2(conv3x3(narrow, narrow, stride, groups)),
        bn2(narrow), conv3(conv1x1(narrow, out)), bn3(out),
        downsample(make_downsample(in, out, stride)) {}
};

template <class Block> class ResNet : public Classifier {
 public:
  ResNet(const Table& table, int64_t classes)
      : conv1(make_stem(table)), bn1(table.width), maxpool_(3, 2, 1),
        small_input_(table.small_input) {
    int64_t channels = table.width;
    Sequential* stages[] = {&layer1, &layer2, &layer3, &layer4};
    for (int stage = 0; stage < 4; ++stage) {
      int64_t width = int64_t(table.width) << stage;
      for (int block = 0; block < table.blocks[stage]; ++block) {
        stages[stage]->add(Block(channels, width, stage > 0 && block == 0 ? 2 : 1, table));
        channels = width * Block::kExpansion;
      }
    }
    features_ = channels;
    fc = std::make_unique<Linear>(channels, classes);
  }

  Tensor trunk(Tensor x) override {
    x = conv_norm_act(std::move(x), conv1, &bn1, Activation::relu);
    if (!small_input_) x = maxpool_(std::move(x));
    for (Sequential* stage : {&layer1, &layer2, &layer3, &layer4}) x = (*stage)(std::move(x));
    return global_avg_pool(x);
  }
  Tensor head(Tensor features) override { return (*fc)(std::move(features)); }
  std::string head_path() const override { return "fc"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(conv1, bn1, layer1, layer2, layer3, layer4, fc)

  Conv2d conv1;
  BatchNorm2d bn1;
  Sequential layer1, layer2, layer3, layer4;
  std::unique_ptr<Linear> fc;

 private:
  static Conv2d make_stem(const Table& table) {
    if (table.small_input) return conv3x3(3, table.width, 1);
    return Conv2d(3, table.width, {.kernel = 7, .stride = 2, .padding = 3, .bias = false});
  }
  Module& head_layer() override { return *fc; }
  void make_head(int64_t classes) override { fc = std::make_unique<Linear>(features_, classes); }

  MaxPool2d maxpool_;
  bool small_input_;
  int64_t features_;
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
