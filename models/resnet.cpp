#include "models/resnet.h"

#include "layers/conv_norm_act.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/sequential.h"

namespace graft {
namespace {

Conv2d conv3x3(int64_t in, int64_t out, int stride) {
  return Conv2d(in, out, {.kernel = 3, .stride = stride, .padding = 1, .bias = false});
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
  BasicBlock(int64_t in, int64_t width, int stride)
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
  Bottleneck(int64_t in, int64_t width, int stride)
      : conv1(conv1x1(in, width)), bn1(width), conv2(conv3x3(width, width, stride)), bn2(width),
        conv3(conv1x1(width, width * kExpansion)), bn3(width * kExpansion),
        downsample(make_downsample(in, width * kExpansion, stride)) {}

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
};

template <class Block> class ResNet : public Classifier {
 public:
  ResNet(const ResNetTable& table, int64_t classes)
      : conv1(make_stem(table)), bn1(table.width), maxpool_(3, 2, 1),
        small_input_(table.small_input) {
    int64_t channels = table.width;
    Sequential* stages[] = {&layer1, &layer2, &layer3, &layer4};
    for (int stage = 0; stage < 4; ++stage) {
      int64_t width = int64_t(table.width) << stage;
      for (int block = 0; block < table.blocks[stage]; ++block) {
        stages[stage]->add(Block(channels, width, stage > 0 && block == 0 ? 2 : 1));
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
  static Conv2d make_stem(const ResNetTable& table) {
    if (table.small_input) return conv3x3(3, table.width, 1);
    return Conv2d(3, table.width, {.kernel = 7, .stride = 2, .padding = 3, .bias = false});
  }
  Module& head_layer() override { return *fc; }
  void make_head(int64_t classes) override { fc = std::make_unique<Linear>(features_, classes); }

  MaxPool2d maxpool_;
  bool small_input_;
  int64_t features_;
};

}  // namespace

std::unique_ptr<Classifier> make_resnet(const ResNetTable& table, int64_t classes) {
  if (table.bottleneck) return std::make_unique<ResNet<Bottleneck>>(table, classes);
  return std::make_unique<ResNet<BasicBlock>>(table, classes);
}

}  // namespace graft
