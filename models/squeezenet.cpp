#include "models/squeezenet.h"

#include "core/text.h"
#include "layers/activation.h"
#include "layers/conv_norm_act.h"
#include "layers/dropout.h"
#include "layers/pool.h"
#include "layers/sequential.h"

namespace graft {
namespace {

class Fire : public Module {
 public:
  Fire(int64_t in, int64_t narrow)
      : squeeze(in, narrow, {.kernel = 1}), expand1x1(narrow, 4 * narrow, {.kernel = 1}),
        expand3x3(narrow, 4 * narrow, {.kernel = 3, .padding = 1}) {}

  Tensor forward(Tensor x) override {
    x = conv_norm_act(std::move(x), squeeze, nullptr, Activation::relu);
    return concat({conv_norm_act(x, expand1x1, nullptr, Activation::relu),
                   conv_norm_act(x, expand3x3, nullptr, Activation::relu)});
  }
  std::string describe() const override { return "Fire"; }
  GRAFT_FIELDS(squeeze, expand1x1, expand3x3)

  Conv2d squeeze, expand1x1, expand3x3;
};

class SqueezeNet : public Classifier {
 public:
  SqueezeNet(int stem_width, int stem_kernel, std::string_view table, int64_t classes) {
    features.add(Conv2d(3, stem_width, {.kernel = stem_kernel, .stride = 2})).add(relu_layer());
    int64_t channels = stem_width;
    for (const std::string& entry : split(table, " ")) {
      if (entry == "M") {
        features.add(MaxPool2d(3, 2, 0, /*ceil_mode=*/true));
        continue;
      }
      int64_t narrow = std::stoll(entry);
      features.add(Fire(channels, narrow));
      channels = 8 * narrow;
    }
    features_ = channels;
    classifier.add(Dropout()).add(Conv2d(channels, classes, {.kernel = 1})).add(relu_layer());
    classifier.add(AdaptiveAvgPool2d(1, 1));
  }

  Tensor trunk(Tensor x) override { return features(std::move(x)); }
  Tensor head(Tensor x) override { return flatten(classifier(std::move(x))); }
  std::string head_path() const override { return "classifier.1"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(features, classifier)

  Sequential features, classifier;

 private:
  bool in_trunk(const std::string& path) const override { return path.starts_with("features"); }
  Module& head_layer() override { return classifier[1]; }
  void make_head(int64_t classes) override {
    classifier.replace(1, std::make_unique<Conv2d>(features_, classes, Conv2dOptions{.kernel = 1}));
  }

  int64_t features_;
};

}  // namespace

std::unique_ptr<Classifier> make_squeezenet(int stem_width, int stem_kernel, std::string_view table,
                                            int64_t classes) {
  return std::make_unique<SqueezeNet>(stem_width, stem_kernel, table, classes);
}

}  // namespace graft
