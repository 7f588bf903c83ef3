// Of NVIDIA's libraries, as this process has loaded them.
#pragma once
#include <string>

namespace graft::vendor {

std::string versions();  // "cuBLASLt 130002, cuDNN 91300"

}  // namespace graft::vendor
