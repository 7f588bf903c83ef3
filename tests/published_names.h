// Tensors of published networks with their shapes, as torchvision names them. A line with one number
// only, "bn1 64", stands for the five tensors of a batch norm. Made by walking state_dict().
#pragma once

namespace graft::tests {

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
