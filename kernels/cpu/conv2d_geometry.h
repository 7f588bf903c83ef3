// A convolution in oneDNN's words, for its three kernels: fprop, dgrad, wgrad.
#pragma once
#include <string>

#include "kernels/conv2d.h"
#include "kernels/cpu/onednn.h"

namespace graft::cpu {

struct Geometry {
  dnnl::memory::desc x, w, w_any, bias, y, channel;  // channel: (k) along the channels of y
  dnnl::memory::dims stride, dilation, pad_begin, pad_end;
};

// Activations in NHWC, or in whatever order the kernel wants (tag any); w as the caller has it,
// (k,r,s,c/groups), and w_any as the kernel wants it. `factors` is the type of x and w_any.
Geometry geometry(const Conv2dProblem& p,
                  dnnl::memory::format_tag activations = dnnl::memory::format_tag::nhwc,
                  dnnl::memory::data_type factors = dnnl::memory::data_type::f32);

std::string describe(const char* kernel, const Conv2dProblem& p);  // "fprop n8 h14 w14 c64 ..."

// Note which implementations oneDNN would take (onednn.h), without running any.
void probe_fprop(const Conv2dProblem& p);
void probe_backward(const Conv2dProblem& p);

}  // namespace graft::cpu
