// The families of the zoo: one file each, models/<family>.cpp, written as a table. Names of networks
// and of their tensors are torchvision's, but where a file says otherwise.
#pragma once
#include <span>

#include "models/zoo_row.h"

namespace graft {

std::span<const ZooRow> alexnet_rows();
std::span<const ZooRow> densenet_rows();
std::span<const ZooRow> mnasnet_rows();
std::span<const ZooRow> mobilenet_v2_rows();
std::span<const ZooRow> mobilenet_v3_rows();
std::span<const ZooRow> resnet_rows();
std::span<const ZooRow> resnet_cifar_rows();
std::span<const ZooRow> squeezenet_rows();
std::span<const ZooRow> vgg_rows();

}  // namespace graft
