#include "models/zoo.h"

#include "core/text.h"
#include "models/resnet.h"
#include "models/squeezenet.h"
#include "models/vgg.h"

namespace graft {
namespace {

using Made = std::unique_ptr<Classifier>;

constexpr const char* kVgg11 = "64 M 128 M 256 256 M 512 512 M 512 512 M";
constexpr const char* kVgg13 = "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M";
constexpr const char* kVgg16 = "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M";
constexpr const char* kVgg19 =
    "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M";
constexpr const char* kSqueeze10 = "M 16 16 32 M 32 48 48 64 M 64";
constexpr const char* kSqueeze11 = "M 16 16 M 32 32 M 48 48 64 64";

const ZooRow kRows[] = {
    {"resnet18", [](int64_t n) -> Made { return make_resnet({false, {2, 2, 2, 2}}, n); }, 11689512, 1000, 224},
    {"resnet34", [](int64_t n) -> Made { return make_resnet({false, {3, 4, 6, 3}}, n); }, 21797672, 1000, 224},
    {"resnet50", [](int64_t n) -> Made { return make_resnet({true, {3, 4, 6, 3}}, n); }, 25557032, 1000, 224},
    {"resnet101", [](int64_t n) -> Made { return make_resnet({true, {3, 4, 23, 3}}, n); }, 44549160, 1000, 224},
    {"resnet152", [](int64_t n) -> Made { return make_resnet({true, {3, 8, 36, 3}}, n); }, 60192808, 1000, 224},
    {"resnet10_small", [](int64_t n) -> Made { return make_resnet({false, {1, 1, 1, 1}, 16, true}, n); }, 308826, 10, 32},
    {"vgg11", [](int64_t n) { return make_vgg(kVgg11, false, n); }, 132863336, 1000, 224},
    {"vgg13", [](int64_t n) { return make_vgg(kVgg13, false, n); }, 133047848, 1000, 224},
    {"vgg16", [](int64_t n) { return make_vgg(kVgg16, false, n); }, 138357544, 1000, 224},
    {"vgg19", [](int64_t n) { return make_vgg(kVgg19, false, n); }, 143667240, 1000, 224},
    {"vgg11_bn", [](int64_t n) { return make_vgg(kVgg11, true, n); }, 132868840, 1000, 224},
    {"vgg13_bn", [](int64_t n) { return make_vgg(kVgg13, true, n); }, 133053736, 1000, 224},
    {"vgg16_bn", [](int64_t n) { return make_vgg(kVgg16, true, n); }, 138365992, 1000, 224},
    {"vgg19_bn", [](int64_t n) { return make_vgg(kVgg19, true, n); }, 143678248, 1000, 224},
    {"squeezenet1_0", [](int64_t n) { return make_squeezenet(96, 7, kSqueeze10, n); }, 1248424, 1000, 224},
    {"squeezenet1_1", [](int64_t n) { return make_squeezenet(64, 3, kSqueeze11, n); }, 1235496, 1000, 224},
};

}  // namespace

std::span<const ZooRow> zoo() { return kRows; }

const ZooRow& zoo_row(const std::string& name) {
  std::vector<std::string> names;
  for (const ZooRow& row : kRows) {
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
  model->preprocess.crop = row.input;
  model->preprocess.resize = row.input * 8 / 7;  // 256 for 224
  return model;
}

std::unique_ptr<Classifier> make_model(const std::string& name, int64_t classes, uint64_t seed) {
  auto model = build_model(name, classes);
  initialize(*model, seed);
  return model;
}

}  // namespace graft
