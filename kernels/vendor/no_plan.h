// What NVIDIA's libraries throw for a problem that they have no kernel for. Not yet run on a GPU.
#pragma once
#include <stdexcept>

namespace graft::vendor {

// Found out before anything is computed: whoever catches it can compute the same in another way.
class NoPlan : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace graft::vendor
