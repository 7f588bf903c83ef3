// GoogLeNet (Szegedy et al., CVPR 2015) with batch norm; as in torchvision, the filters that the
// paper has as 5x5 are 3x3. Its two auxiliary classifiers only helped the first training.
#include "layers/branches.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "models/chain.h"
#include "models/families.h"
#include "models/named_conv.h"

namespace graft {
namespace {

struct Widths {
  int branch1, narrow2, branch2, narrow3, branch3, branch4;
  int out() const { return branch1 + branch2 + branch3 + branch4; }
};

Sequential narrow_then_3x3(int64_t in, int narrow, int out) {
  Sequential branch;
  branch.add(named_conv(in, narrow)).add(named_conv(narrow, out, {.kernel = 3, .padding = 1}));
  return branch;
}

Branches inception(int64_t in, const Widths& w) {
  Sequential pooled, branches[4];
  pooled.add(MaxPool2d(3, 1, 1, /*ceil_mode=*/true)).add(named_conv(in, w.branch4));
  branches[0].add("branch1", named_conv(in, w.branch1));
  branches[1].add("branch2", narrow_then_3x3(in, w.narrow2, w.branch2));
  branches[2].add("branch3", narrow_then_3x3(in, w.narrow3, w.branch3));
  branches[3].add("branch4", std::move(pooled));
  Branches all;
  for (Sequential& branch : branches) all.add(std::move(branch));
  return all;
}

struct Stage {
  const char* name;
  Widths widths;
};
constexpr Stage kStages[] = {
    {"3a", {64, 96, 128, 16, 32, 32}},     {"3b", {128, 128, 192, 32, 96, 64}},
    {"4a", {192, 96, 208, 16, 48, 64}},    {"4b", {160, 112, 224, 24, 64, 64}},
    {"4c", {128, 128, 256, 24, 64, 64}},   {"4d", {112, 144, 288, 32, 64, 64}},
    {"4e", {256, 160, 320, 32, 128, 128}}, {"5a", {256, 160, 320, 32, 128, 128}},
    {"5b", {384, 192, 384, 48, 128, 128}},
};

std::unique_ptr<Classifier> make(int64_t classes) {
  Sequential trunk, head;
  trunk.add("conv1", named_conv(3, 64, {.kernel = 7, .stride = 2, .padding = 3}));
  trunk.add("maxpool1", MaxPool2d(3, 2, 0, true)).add("conv2", named_conv(64, 64));
  trunk.add("conv3", named_conv(64, 192, {.kernel = 3, .padding = 1}));
  trunk.add("maxpool2", MaxPool2d(3, 2, 0, true));
  int64_t channels = 192;
  for (const Stage& stage : kStages) {
    const std::string name = stage.name;
    if (name == "4a") trunk.add("maxpool3", MaxPool2d(3, 2, 0, true));
    if (name == "5a") trunk.add("maxpool4", MaxPool2d(2, 2, 0, true));
    trunk.add("inception" + name, inception(channels, stage.widths));
    channels = stage.widths.out();
  }
  head.add("dropout", Dropout(0.2f)).add("fc", Linear(channels, classes));
  return std::make_unique<Chain>(Chain::Part{"", std::move(trunk)},
                                 Chain::Part{"", std::move(head)});
}

void tidy(TensorMap& published) {
  std::erase_if(published, [](auto& entry) { return entry.first.starts_with("aux"); });
}

}  // namespace

std::span<const ZooRow> googlenet_rows() {
  static const ZooRow rows[] = {{"googlenet", make, 6624904, centred({}), 1000, tidy}};
  return rows;
}

}  // namespace graft
