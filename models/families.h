// The families of the zoo: one file each, models/<family>.cpp, written as a table. Names of
// networks and of their tensors are torchvision's, but where a file says otherwise. <name>_keras is
// the same network with Keras' constants: epsilon and momentum of its norms, padding at a stride of
// 2, what an average counts. Its tensors have the same names and shapes, so only a file that says
// what it is tells the two apart.
#pragma once
#include <span>

#include "models/zoo_row.h"

namespace graft {

// Preprocessing where it differs in more than sizes: cubic instead of linear interpolation, and
// pixels from -1 to 1.
Preprocess bicubic(int resize, int crop);
Preprocess centred(Preprocess preprocess);

std::span<const ZooRow> alexnet_rows();
std::span<const ZooRow> convnext_rows();
std::span<const ZooRow> densenet_rows();
std::span<const ZooRow> efficientnet_rows();
std::span<const ZooRow> googlenet_rows();
std::span<const ZooRow> inception_v3_rows();
std::span<const ZooRow> mnasnet_rows();
std::span<const ZooRow> mobilenet_v2_rows();
std::span<const ZooRow> mobilenet_v3_rows();
std::span<const ZooRow> regnet_rows();
std::span<const ZooRow> resnet_rows();
std::span<const ZooRow> resnet_cifar_rows();
std::span<const ZooRow> shufflenet_v2_rows();
std::span<const ZooRow> squeezenet_rows();
std::span<const ZooRow> swin_rows();
std::span<const ZooRow> vgg_rows();
std::span<const ZooRow> vit_rows();

}  // namespace graft
