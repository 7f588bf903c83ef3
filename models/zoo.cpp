#include "models/zoo.h"

#include "core/text.h"
#include "models/families.h"

namespace graft {
namespace {

struct Family {
  const char* name;
  std::span<const ZooRow> (*rows)();
};

constexpr Family kFamilies[] = {
    {"ResNet, Wide ResNet, ResNeXt", resnet_rows},
    {"VGG", vgg_rows},
    {"SqueezeNet", squeezenet_rows},
    {"AlexNet", alexnet_rows},
    {"ResNet for CIFAR-10", resnet_cifar_rows},
    {"DenseNet", densenet_rows},
    {"MobileNet V2", mobilenet_v2_rows},
    {"MobileNet V3", mobilenet_v3_rows},
    {"MNASNet", mnasnet_rows},
    {"EfficientNet, EfficientNetV2", efficientnet_rows},
    {"ShuffleNet V2", shufflenet_v2_rows},
    {"RegNet X, RegNet Y", regnet_rows},
    {"GoogLeNet", googlenet_rows},
    {"Inception V3", inception_v3_rows},
    {"ConvNeXt", convnext_rows},
    {"ViT", vit_rows},
    {"Swin, Swin V2", swin_rows},
};

std::vector<ZooRow> all_rows() {
  std::vector<ZooRow> all;
  for (const Family& family : kFamilies)
    for (const ZooRow& row : family.rows()) all.emplace_back(row).family = family.name;
  return all;
}

}  // namespace

Preprocess bicubic(int resize, int crop) {
  return {.resize = resize, .crop = crop, .interpolation = Interpolation::bicubic};
}

Preprocess centred(Preprocess preprocess) {
  preprocess.mean = preprocess.std = {0.5f, 0.5f, 0.5f};
  return preprocess;
}

const std::vector<ZooRow>& zoo() {
  static const std::vector<ZooRow> rows = all_rows();
  return rows;
}

NetworkName parse_network(const std::string& name) {
  const size_t plus = name.find('+');
  const std::string trunk = name.substr(0, plus);
  const size_t colon = trunk.find(':');
  return {trunk.substr(0, colon), colon == trunk.npos ? "" : trunk.substr(colon + 1),
          plus == name.npos ? "" : name.substr(plus + 1)};
}

std::string NetworkName::text() const {
  return row + (until.empty() ? "" : ":" + until) + (head.empty() ? "" : "+" + head);
}

const ZooRow& zoo_row(const std::string& network) {
  const std::string name = parse_network(network).row;
  std::vector<std::string> names;
  for (const ZooRow& row : zoo()) {
    if (name == row.name) return row;
    names.push_back(row.name);
  }
  fail(Fault::usage, "there is no model '{}'; the nearest names are {}; all: graft models", name,
       enumerate(nearest_names(name, names)));
}

std::unique_ptr<Classifier> build_model(const std::string& name, int64_t classes) {
  const ZooRow& row = zoo_row(name);
  GRAFT_CHECK(classes > 0, "model {}: {} classes", name, classes);
  auto model = row.build(classes);
  model->architecture = name;
  model->preprocess = row.preprocess;
  const NetworkName parts = parse_network(name);
  if (!parts.until.empty()) model->end_after(parts.until);
  if (!parts.head.empty()) model->form_head(HeadForm::parse(parts.head));
  return model;
}

std::unique_ptr<Classifier> make_model(const std::string& name, int64_t classes, uint64_t seed) {
  auto model = build_model(name, classes);
  initialize(*model, seed);
  return model;
}

}  // namespace graft
