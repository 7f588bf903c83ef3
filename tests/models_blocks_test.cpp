// What counts as a block, in networks of every kind.
#include <gtest/gtest.h>

#include "layers/blocks.h"
#include "models/zoo.h"

namespace graft {
namespace {

struct Row {
  const char* name;
  size_t blocks;
  const char* second;  // path of the block after the first
  const char* before_head;
};

// ResNet-18: stem, eight blocks, head. VGG-16: thirteen convolutions, three linear layers.
const Row kRows[] = {
    {"resnet18", 10, "layer1.0", "layer4.1"},
    {"vgg16", 16, "features.2", "classifier.3"},
    {"densenet121", 63, "features.denseblock1.denselayer1", "features.denseblock4.denselayer16"},
    {"mobilenet_v2", 20, "features.1", "features.18"},
    {"efficientnet_b0", 19, "features.1.0", "features.8"},
    {"convnext_tiny", 23, "features.1.0", "features.7.2"},
    {"vit_b_16", 14, "encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_11"},
    {"swin_t", 17, "features.1.0", "features.7.1"},
    {"squeezenet1_1", 10, "features.3", "features.12"},
    {"googlenet", 13, "conv2", "inception5b"},
};

TEST(Blocks, OfManyNetworks) {
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.name);
    auto model = build_model(row.name, 3);
    std::vector<Block> blocks = blocks_of(*model);
    std::string all;
    size_t parameters = 0, expected = 0;
    for (const Block& b : blocks) all += b.path + " ", parameters += b.parameters.size();
    each_param(*model, [&](auto&, Param&) { ++expected; });
    EXPECT_EQ(parameters, expected) << all;
    EXPECT_EQ(blocks.size(), row.blocks) << all;
    EXPECT_EQ(blocks[1].path, row.second) << all;
    EXPECT_EQ(blocks[blocks.size() - 2].path, row.before_head) << all;
    EXPECT_TRUE(model->head_path().starts_with(blocks.back().path)) << all;
  }
}

TEST(Blocks, TheHeadIsTheLastOfEveryNetwork) {
  for (const ZooRow& row : zoo()) {
    const std::string name = row.name;
    auto model = build_model(name, 3);
    std::vector<Block> blocks = blocks_of(*model);
    ASSERT_GE(blocks.size(), 6u) << name;
    EXPECT_TRUE(model->head_path().starts_with(blocks.back().path)) << name << " " << blocks.back().path;
    for (const std::string& path : blocks.back().parameters)
      EXPECT_TRUE(path.starts_with(model->head_path() + ".")) << name << " " << path;
  }
}

}  // namespace
}  // namespace graft
