#include "models/vgg.h"

#include "core/text.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/sequential.h"

namespace graft {
namespace {

constexpr int kMap = 7;         // side of the map that the matrices see
constexpr int kHidden = 4096;

class Vgg : public Classifier {
 public:
  Vgg(std::string_view table, bool batch_norm, int64_t classes) : avgpool_(kMap, kMap) {
    int64_t channels = 3;
    for (const std::string& entry : split(table, " ")) {
      if (entry == "M") {
        features.add(MaxPool2d(2, 2));
        continue;
      }
      int64_t width = std::stoll(entry);
      features.add(Conv2d(channels, width, {.kernel = 3, .padding = 1}));
      if (batch_norm) features.add(BatchNorm2d(width));
      features.add(relu_layer());
      channels = width;
    }
    classifier.add(Linear::on_map(channels, kMap, kMap, kHidden)).add(relu_layer()).add(Dropout());
    classifier.add(Linear(kHidden, kHidden)).add(relu_layer()).add(Dropout());
    classifier.add(Linear(kHidden, classes));
  }

  Tensor trunk(Tensor x) override {
    return flatten(avgpool_(features(std::move(x))));
  }
  Tensor head(Tensor features) override { return classifier(std::move(features)); }
  std::string head_path() const override { return "classifier.6"; }
  std::string describe() const override { return architecture; }
  GRAFT_FIELDS(features, classifier)

  Sequential features, classifier;

 private:
  // The two matrices below the last one belong with their dropout to the head, which sees a batch whole.
  bool in_trunk(const std::string& path) const override { return path.starts_with("features"); }
  Module& head_layer() override { return classifier[classifier.size() - 1]; }
  void make_head(int64_t classes) override {
    classifier.replace(classifier.size() - 1, std::make_unique<Linear>(kHidden, classes));
  }

  AdaptiveAvgPool2d avgpool_;
};

}  // namespace

std::unique_ptr<Classifier> make_vgg(std::string_view table, bool batch_norm, int64_t classes) {
  return std::make_unique<Vgg>(table, batch_norm, classes);
}

}  // namespace graft
