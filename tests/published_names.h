// Tensors of published networks with their shapes, as torchvision names them. A line with one number
// only, "bn1 64", stands for the five tensors of a batch norm. Made by walking state_dict().
#pragma once
#include <map>
#include <string>

namespace graft::tests {

// First digits of the SHA-256 of all names and shapes, one line "name d0 d1 ..." a tensor, sorted. Made
// by golden.py --names.
inline const std::map<std::string, std::string> kDigests{
    {"resnet18", "aafacabf48f2b8ed"},
    {"resnet34", "70a6bba6d3bd2121"},
    {"resnet50", "d79faeaa901eb5bd"},
    {"resnet101", "afebc78050cd9f13"},
    {"resnet152", "bfb0a4d39f60e4a3"},
    {"wide_resnet50_2", "efc7df47863d434a"},
    {"wide_resnet101_2", "6c367ce28edcb758"},
    {"resnext50_32x4d", "13236a4034c31289"},
    {"resnext101_32x8d", "73a75d4ee7934f41"},
    {"resnext101_64x4d", "c1cb0af02fce6aa7"},
    {"vgg11", "3f410be429c5cbc8"},
    {"vgg13", "ef216a6a90564a18"},
    {"vgg16", "65ebc1485d651701"},
    {"vgg19", "1c34897f01bee171"},
    {"vgg11_bn", "39d8e3499aa42300"},
    {"vgg13_bn", "6ef1d9c1ed32fc87"},
    {"vgg16_bn", "5e1b55feb9ac2dad"},
    {"vgg19_bn", "e74161ce2e3ab4c6"},
    {"squeezenet1_0", "e29c7ef97aa22586"},
    {"squeezenet1_1", "52a467b5e6df2211"},
    {"alexnet", "0d605c695687dee2"},
    {"resnet20", "d992551d99ef72d9"},
    {"resnet32", "66cd5d755a12acee"},
    {"resnet44", "845f69162f827021"},
    {"resnet56", "f4cfcde4fef9c729"},
    {"resnet110", "8ed25b75dd29419e"},
    {"densenet121", "3e1086c9b7c387c4"},
    {"densenet161", "d6e8a4867cd58ec7"},
    {"densenet169", "c79e5c8f0227f915"},
    {"densenet201", "b923ffae177613f1"},
    {"mobilenet_v2", "c941f4e77ad81cba"},
    {"mobilenet_v3_large", "59950befbf4584f6"},
    {"mobilenet_v3_small", "1596bc23598c62b9"},
    {"mnasnet0_5", "23c236c940f59056"},
    {"mnasnet0_75", "7498a0188e7c0dab"},
    {"mnasnet1_0", "812cbab2b2f05791"},
    {"mnasnet1_3", "2b1a972be2cb4777"},
    {"efficientnet_b0", "6a9339f0700c71b6"},
    {"efficientnet_b1", "a485b41cbf900046"},
    {"efficientnet_b2", "24d5fe72b4f6eacb"},
    {"efficientnet_b3", "717a6b525975b537"},
    {"efficientnet_b4", "4b6ab93435be260c"},
    {"efficientnet_b5", "6b20cc27efcd6f8c"},
    {"efficientnet_b6", "4415b87f4bac489c"},
    {"efficientnet_b7", "18c1462a51d1042e"},
    {"efficientnet_v2_s", "3610d5df29f0ee36"},
    {"efficientnet_v2_m", "0e557392f7d71fbf"},
    {"efficientnet_v2_l", "eeaa6863efbdd57f"},
    {"shufflenet_v2_x0_5", "5a634fc4c57ce6a3"},
    {"shufflenet_v2_x1_0", "5747f6ee2b13f2f0"},
    {"shufflenet_v2_x1_5", "f9f74c96f32aced2"},
    {"shufflenet_v2_x2_0", "09a2076154ca81a4"},
    {"regnet_x_400mf", "a873ba34a7732e43"},
    {"regnet_x_800mf", "f7a9dc802b390fa3"},
    {"regnet_x_1_6gf", "d170afee49c757b3"},
    {"regnet_x_3_2gf", "836dae6760f2e52e"},
    {"regnet_x_8gf", "ea79deca1569690a"},
    {"regnet_x_16gf", "125b59f0436f6823"},
    {"regnet_x_32gf", "de9a344796a20ab1"},
    {"regnet_y_400mf", "d2da85fa69aba3db"},
    {"regnet_y_800mf", "0a17fe5b6694c782"},
    {"regnet_y_1_6gf", "031c25e26d0ffee6"},
    {"regnet_y_3_2gf", "b33f3a0059d69c74"},
    {"regnet_y_8gf", "77e41e8b3b55a45e"},
    {"regnet_y_16gf", "d278c2fddd25892f"},
    {"regnet_y_32gf", "4a9e706f2c5c6120"},
    {"regnet_y_128gf", "a4097cf4e21595da"},
    {"googlenet", "e7202fc110c41551"},
    {"inception_v3", "07bc165088a60c8c"},
    {"convnext_tiny", "9cf91039ed7319c1"},
    {"convnext_small", "df5a022ee4cbf7a2"},
    {"convnext_base", "6b97d48b35d3aaac"},
    {"convnext_large", "c0dd139402103875"},
    {"vit_b_16", "6e727928c5f8be0a"},
    {"vit_b_32", "9934b61aff868de8"},
    {"vit_l_16", "9a71c260dcd2efc9"},
    {"vit_l_32", "c5d10963f27d4f7b"},
    {"swin_t", "44bc748a71b86b1e"},
    {"swin_s", "d74419e7d1647d96"},
    {"swin_b", "6fae0ef625177920"},
    {"swin_v2_t", "a34c1ac2a070b2a1"},
    {"swin_v2_s", "0e972a1c4f04646a"},
    {"swin_v2_b", "acb3696e0c911afb"},
};

inline constexpr const char* kResNet18 = R"(
conv1.weight 64 3 7 7
bn1 64
layer1.0.conv1.weight 64 64 3 3
layer1.0.bn1 64
layer1.0.conv2.weight 64 64 3 3
layer1.0.bn2 64
layer1.1.conv1.weight 64 64 3 3
layer1.1.bn1 64
layer1.1.conv2.weight 64 64 3 3
layer1.1.bn2 64
layer2.0.conv1.weight 128 64 3 3
layer2.0.bn1 128
layer2.0.conv2.weight 128 128 3 3
layer2.0.bn2 128
layer2.0.downsample.0.weight 128 64 1 1
layer2.0.downsample.1 128
layer2.1.conv1.weight 128 128 3 3
layer2.1.bn1 128
layer2.1.conv2.weight 128 128 3 3
layer2.1.bn2 128
layer3.0.conv1.weight 256 128 3 3
layer3.0.bn1 256
layer3.0.conv2.weight 256 256 3 3
layer3.0.bn2 256
layer3.0.downsample.0.weight 256 128 1 1
layer3.0.downsample.1 256
layer3.1.conv1.weight 256 256 3 3
layer3.1.bn1 256
layer3.1.conv2.weight 256 256 3 3
layer3.1.bn2 256
layer4.0.conv1.weight 512 256 3 3
layer4.0.bn1 512
layer4.0.conv2.weight 512 512 3 3
layer4.0.bn2 512
layer4.0.downsample.0.weight 512 256 1 1
layer4.0.downsample.1 512
layer4.1.conv1.weight 512 512 3 3
layer4.1.bn1 512
layer4.1.conv2.weight 512 512 3 3
layer4.1.bn2 512
fc.weight 1000 512
fc.bias 1000
)";

inline constexpr const char* kSqueezeNet11 = R"(
features.0.weight 64 3 3 3
features.0.bias 64
features.3.squeeze.weight 16 64 1 1
features.3.squeeze.bias 16
features.3.expand1x1.weight 64 16 1 1
features.3.expand1x1.bias 64
features.3.expand3x3.weight 64 16 3 3
features.3.expand3x3.bias 64
features.4.squeeze.weight 16 128 1 1
features.4.squeeze.bias 16
features.4.expand1x1.weight 64 16 1 1
features.4.expand1x1.bias 64
features.4.expand3x3.weight 64 16 3 3
features.4.expand3x3.bias 64
features.6.squeeze.weight 32 128 1 1
features.6.squeeze.bias 32
features.6.expand1x1.weight 128 32 1 1
features.6.expand1x1.bias 128
features.6.expand3x3.weight 128 32 3 3
features.6.expand3x3.bias 128
features.7.squeeze.weight 32 256 1 1
features.7.squeeze.bias 32
features.7.expand1x1.weight 128 32 1 1
features.7.expand1x1.bias 128
features.7.expand3x3.weight 128 32 3 3
features.7.expand3x3.bias 128
features.9.squeeze.weight 48 256 1 1
features.9.squeeze.bias 48
features.9.expand1x1.weight 192 48 1 1
features.9.expand1x1.bias 192
features.9.expand3x3.weight 192 48 3 3
features.9.expand3x3.bias 192
features.10.squeeze.weight 48 384 1 1
features.10.squeeze.bias 48
features.10.expand1x1.weight 192 48 1 1
features.10.expand1x1.bias 192
features.10.expand3x3.weight 192 48 3 3
features.10.expand3x3.bias 192
features.11.squeeze.weight 64 384 1 1
features.11.squeeze.bias 64
features.11.expand1x1.weight 256 64 1 1
features.11.expand1x1.bias 256
features.11.expand3x3.weight 256 64 3 3
features.11.expand3x3.bias 256
features.12.squeeze.weight 64 512 1 1
features.12.squeeze.bias 64
features.12.expand1x1.weight 256 64 1 1
features.12.expand1x1.bias 256
features.12.expand3x3.weight 256 64 3 3
features.12.expand3x3.bias 256
classifier.1.weight 1000 512 1 1
classifier.1.bias 1000
)";

}  // namespace graft::tests
