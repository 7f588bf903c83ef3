// VGG (Simonyan & Zisserman, ICLR 2015): 3x3 convolutions in a table, then three matrices.
#include <string_view>

#include "core/text.h"
#include "layers/activation.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "layers/sequential.h"
#include "models/families.h"

namespace graft {
namespace {

constexpr int kMap = 7;         // side of the map that the matrices see
constexpr int kHidden = 4096;

// Widths of the convolutions in order, "M" for a max pool.
constexpr const char* k11 = "64 M 128 M 256 256 M 512 512 M 512 512 M";
constexpr const char* k13 = "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M";
constexpr const char* k16 = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M";
constexpr const char* k19 =
    "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M";

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

  Steps steps() override {
    Steps steps;
    append(steps, "features", features);
    steps.push_back({{}, [this](Tensor x) { return flatten(avgpool_(std::move(x))); }});
    return steps;
  }
  Tensor hidden(Tensor x) override {  // large matrices want many rows at a time
    for (size_t i = 0; i + 1 < classifier.size(); ++i) x = classifier[i](std::move(x));
    return x;
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

// timm keeps the matrices as convolutions over the map, (O,C,H,W), under names of its own.
void tidy(TensorMap& published) {
  for (auto [timm, ours] : {std::pair("pre_logits.fc1", "classifier.0"),
                            std::pair("pre_logits.fc2", "classifier.3"),
                            std::pair("head.fc", "classifier.6")})
    for (const char* part : {".weight", ".bias"}) {
      auto tensor = published.extract(std::string(timm) + part);
      if (tensor.empty()) continue;
      tensor.key() = std::string(ours) + part;
      const Tensor& values = tensor.mapped();
      if (values.rank() == 4) tensor.mapped() = values.reshape({values.dim(0), -1});
      published.insert(std::move(tensor));
    }
}

ZooRow row(const char* name, const char* table, bool batch_norm, int64_t parameters) {
  return {name, [=](int64_t classes) { return std::make_unique<Vgg>(table, batch_norm, classes); },
          parameters, {}, 1000, tidy};
}

}  // namespace

std::span<const ZooRow> vgg_rows() {
  static const ZooRow rows[] = {
      row("vgg11", k11, false, 132863336),
      row("vgg13", k13, false, 133047848),
      row("vgg16", k16, false, 138357544),
      row("vgg19", k19, false, 143667240),
      row("vgg11_bn", k11, true, 132868840),
      row("vgg13_bn", k13, true, 133053736),
      row("vgg16_bn", k16, true, 138365992),
      row("vgg19_bn", k19, true, 143678248),
  };
  return rows;
}

}  // namespace graft
