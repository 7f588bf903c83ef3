// Which libraries are linked: verdicts about their speed hold for these alone.
#pragma once
#include <string>

namespace graft::vendor {

std::string versions();  // "cuBLASLt 130002, cuDNN 91300"

}  // namespace graft::vendor
