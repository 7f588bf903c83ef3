// The thin residual networks for images of 32 pixels (He et al., CVPR 2016, section 4.2). Names of
// tensors are those of akamaster/pytorch_resnet_cifar10, where weights are published.
#include "layers/conv_norm_act.h"
#include "layers/linear.h"
#include "layers/sequential.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr int64_t kWidths[] = {16, 32, 64};

Conv2d conv3x3(int64_t in, int64_t out, int stride) {
  return Conv2d(in, out, {.kernel = 3, .stride = stride, .padding = 1, .bias = false});
}

// Option A of the paper, without parameters: every other pixel, and the new channels are zero, half
// of them before the old ones.
Tensor thin_shortcut(const Tensor& x, int64_t channels) {
  Tensor y = avg_pool2d(x, {.window = {1, 1}, .stride = {2, 2}});
  Shape shape = y.shape();
  shape.back() = (channels - x.dim(-1)) / 2;
  auto zeros = [&] { return Tensor::zeros(shape, y.dtype(), y.device()); };
  return concat({zeros(), y, zeros()});
}

class BasicBlock : public Module {
 public:
  BasicBlock(int64_t in, int64_t width, int stride)
      : conv1(conv3x3(in, width, stride)), bn1(width), conv2(conv3x3(width, width, 1)), bn2(width) {}

  Tensor forward(Tensor x) override {
    Tensor y = conv_norm_act(x, conv1, &bn1, Activation::relu);
    if (x.shape() != y.shape()) x = thin_shortcut(x, y.dim(-1));
    return conv_norm_act(std::move(y), conv2, &bn2, Activation::relu, std::move(x));
  }
  std::string describe() const override { return "BasicBlock"; }
  GRAFT_FIELDS(conv1, bn1, conv2, bn2)

  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
};

class CifarResNet : public Classifier {
 public:
  CifarResNet(int blocks, int64_t classes) : conv1(conv3x3(3, kWidths[0], 1)), bn1(kWidths[0]) {
    int64_t channels = kWidths[0];
    Sequential* stages[] = {&layer1, &layer2, &layer3};
    for (int stage = 0; stage < 3; ++stage)
      for (int block = 0; block < blocks; ++block) {
        stages[stage]->add(BasicBlock(channels, kWidths[stage], stage > 0 && block == 0 ? 2 : 1));
        channels = kWidths[stage];
      }
    linear = std::make_unique<Linear>(kWidths[2], classes);
  }

  Steps steps() override {
    Steps steps{{{"conv1", "bn1"}, [this](Tensor x) {
      return conv_norm_act(std::move(x), conv1, &bn1, Activation::relu);
    }}};
    append(steps, "layer1", layer1);
    append(steps, "layer2", layer2);
    append(steps, "layer3", layer3);
    steps.push_back({{}, [](Tensor x) { return global_avg_pool(x); }});
    return steps;
  }
  Tensor head(Tensor features) override { return (*linear)(std::move(features)); }
  std::string head_path() const override { return "linear"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(conv1, bn1, layer1, layer2, layer3, linear)

  Conv2d conv1;
  BatchNorm2d bn1;
  Sequential layer1, layer2, layer3;
  std::unique_ptr<Module> linear;

 private:
  Module& head_layer() override { return *linear; }
  void set_head(std::unique_ptr<Module> layer) override { linear = std::move(layer); }
};

// `blocks` in each of three stages.
ZooRow row(const char* name, int blocks, int64_t parameters) {
  return {name, [=](int64_t classes) { return std::make_unique<CifarResNet>(blocks, classes); },
          parameters, {.resize = 32, .crop = 32}, 10};
}

}  // namespace

std::span<const ZooRow> resnet_cifar_rows() {
  static const ZooRow rows[] = {
      row("resnet20", 3, 269722),
      row("resnet32", 5, 464154),
      row("resnet44", 7, 658586),
      row("resnet56", 9, 853018),
      row("resnet110", 18, 1727962),
  };
  return rows;
}

}  // namespace graft
