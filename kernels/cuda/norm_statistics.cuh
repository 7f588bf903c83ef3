// What becomes of a channel's mean and variance once they are known, by one thread for each
// channel: the arrays (channels) of BatchStatistics, as far as a step of training wants them. The
// kernel that ends the sums of norm.cu does it, and that of norm_moments.cu. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/launch.cuh"
#include "kernels/norm.h"

namespace graft::cuda {

struct FinishStatistics {
  double rows;
  BatchStatistics out;

  __device__ void operator()(int64_t channel, double exact_mean, double exact_var) const {
    const auto mean = float(exact_mean), var = float(max(exact_var, 0.0));
    if (out.mean) out.mean[channel] = mean;
    if (out.var) out.var[channel] = var;
    if (out.rstd) out.rstd[channel] = float(1.0 / sqrt(double(var) + double(out.eps)));
    if (out.running_mean) move(out.running_mean[channel], mean);
    if (out.running_var) move(out.running_var[channel], var * float(rows / (rows - 1.0)));
  }

  __device__ void move(float& running, float batch) const {
    running = (1.0f - out.momentum) * running + out.momentum * batch;
  }
};

}  // namespace graft::cuda
