// AlexNet (Krizhevsky et al., 2012) in its one-column form (Krizhevsky, 2014).
#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/sequential.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr int kMap = 6;         // side of the map that the matrices see
constexpr int kHidden = 4096;

class AlexNet : public Classifier {
 public:
  explicit AlexNet(int64_t classes) : avgpool_(kMap, kMap) {
    features.add(Conv2d(3, 64, {.kernel = 11, .stride = 4, .padding = 2})).add(relu_layer());
    features.add(MaxPool2d(3, 2));
    features.add(Conv2d(64, 192, {.kernel = 5, .padding = 2})).add(relu_layer());
    features.add(MaxPool2d(3, 2));
    features.add(Conv2d(192, 384, {.kernel = 3, .padding = 1})).add(relu_layer());
    features.add(Conv2d(384, 256, {.kernel = 3, .padding = 1})).add(relu_layer());
    features.add(Conv2d(256, 256, {.kernel = 3, .padding = 1})).add(relu_layer());
    features.add(MaxPool2d(3, 2));
    classifier.add(Dropout()).add(Linear::on_map(256, kMap, kMap, kHidden)).add(relu_layer());
    classifier.add(Dropout()).add(Linear(kHidden, kHidden)).add(relu_layer());
    classifier.add(Linear(kHidden, classes));
  }

  Steps steps() override {
    Steps steps;
    append(steps, "features", features);
    steps.push_back({{}, [this](Tensor x) { return flatten(avgpool_(std::move(x))); }});
    for (size_t i = 0; i + 1 < classifier.size(); ++i)
      steps.push_back({{"classifier." + classifier.name(i)},
                       [this, i](Tensor x) { return classifier[i](std::move(x)); }});
    return steps;
  }
  Tensor head(Tensor features) override { return head_layer()(std::move(features)); }
  std::string head_path() const override { return "classifier.6"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(features, classifier)

  Sequential features, classifier;

 private:
  Module& head_layer() override { return classifier[classifier.size() - 1]; }
  void set_head(std::unique_ptr<Module> layer) override {
    classifier.replace(classifier.size() - 1, std::move(layer));
  }

  AdaptiveAvgPool2d avgpool_;
};

}  // namespace

std::span<const ZooRow> alexnet_rows() {
  static const ZooRow rows[] = {
      {"alexnet", [](int64_t classes) { return std::make_unique<AlexNet>(classes); }, 61100840},
  };
  return rows;
}

}  // namespace graft
