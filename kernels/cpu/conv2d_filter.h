// The filter of one call of a oneDNN convolution, in the order that its kernel wants.
#pragma once
#include "kernels/cpu/conv2d_geometry.h"

namespace graft {

struct PackedFilter::Impl {
  Impl(const dnnl::memory::desc& desc, const dnnl::memory::desc& given)
      : desc(desc), given(given), bytes(desc.get_size()) {}
  dnnl::memory filter() const { return cpu::view(desc, bytes.data()); }

  dnnl::memory::desc desc, given;  // of the packed weights, and of those they were made from
  cpu::Scratch bytes;
  bool exact = true;  // the values are those given, only their order differs
};

namespace cpu {

struct Filter {  // what one call reads: the caller's weights, or packed ones
  std::shared_ptr<const PackedFilter::Impl> owner;
  dnnl::memory values;
};

// w (k,r,s,c/groups) times `scale` (k), unless that is null, in the order of `wanted`: taken from
// `packed` when that is current, else made, and kept there. w may be null when it is current.
Filter filter_for(const Conv2dProblem& p, const dnnl::memory::desc& wanted, const float* w,
                  const float* scale = nullptr, PackedFilter* packed = nullptr,
                  uint64_t version = 0);

bool is_current(const PackedFilter* packed, const dnnl::memory::desc& wanted, uint64_t version);

}  // namespace cpu
}  // namespace graft
