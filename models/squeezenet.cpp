// SqueezeNet 1.0 and 1.1 (Iandola et al., 2016): fire modules, and a 1x1 convolution as the head.
#include <string_view>

#include "core/text.h"
#include "layers/activation.h"
#include "layers/conv_norm_act.h"
#include "layers/dropout.h"
#include "layers/pool.h"
#include "layers/sequential.h"
#include "models/families.h"

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

// The squeeze widths of the fire modules in order (each expands to 2 x 4 times as many), "M" for a
// max pool.
constexpr const char* k10 = "M 16 16 32 M 32 48 48 64 M 64";
constexpr const char* k11 = "M 16 16 M 32 32 M 48 48 64 64";

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
    classifier.add(Dropout()).add(Conv2d(channels, classes, {.kernel = 1})).add(relu_layer());
    classifier.add(AdaptiveAvgPool2d(1, 1));
  }

  Steps steps() override {
    Steps steps;
    append(steps, "features", features);
    return steps;
  }
  Tensor head(Tensor x) override { return flatten(classifier(std::move(x))); }
  std::string head_path() const override { return "classifier.1"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(features, classifier)

  Sequential features, classifier;

 private:
  Module& head_layer() override { return classifier[1]; }
  void set_head(std::unique_ptr<Module> layer) override { classifier.replace(1, std::move(layer)); }
  bool head_is_filter() const override { return true; }
};

ZooRow row(const char* name, int stem_width, int stem_kernel, const char* table,
           int64_t parameters) {
  return {name, [=](int64_t classes) {
            return std::make_unique<SqueezeNet>(stem_width, stem_kernel, table, classes); },
          parameters};
}

}  // namespace

std::span<const ZooRow> squeezenet_rows() {
  static const ZooRow rows[] = {
      row("squeezenet1_0", 96, 7, k10, 1248424),
      row("squeezenet1_1", 64, 3, k11, 1235496),
  };
  return rows;
}

}  // namespace graft
