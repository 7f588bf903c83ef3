// The operations of a network on one image, and what they say of its size: nothing is computed.
#pragma once
#include <vector>

#include "core/trace.h"
#include "models/classifier.h"

namespace graft {

struct NetworkTrace {
  Tensor input;  // (1,side,side,3)
  std::vector<TracedOp> steps;
};

// Norms as in inference, dropout as in training; the model stays as it is.
NetworkTrace trace_network(Classifier& model, int64_t side);

// So many images of side x side pixels at most can be in one batch on a CUDA device: each tensor of a
// convolution has less than 2^31 elements (kernels/conv2d.h). 0: not even one.
int64_t largest_cuda_batch(Classifier& model, int64_t side);

}  // namespace graft
