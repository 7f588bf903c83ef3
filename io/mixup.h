// Two images in one: mixup (Zhang et al., ICLR 2018) adds them up, CutMix (Yun et al., ICCV 2019)
// puts a patch of one into the other. The loss is then that of both labels, by their shares. What
// is drawn is here, what is done with it in models/mixed_batch.h.
#pragma once
#include <cstdint>
#include <vector>

#include "core/random.h"
#include "core/tensor.h"
#include "io/image.h"

namespace graft {

struct MixOptions {
  double mixup = 0, cutmix = 0;  // shares are drawn from Beta(a, a); 0: never; both: one of them,
                                 // with equal chances
  bool any() const { return mixup > 0 || cutmix > 0; }
};

// What is done to one batch.
struct Mix {
  float share = 1;  // of each image itself, in pixels and label; its partner has the rest
  std::vector<int64_t> partners;  // a permutation of the batch
  bool patch = false;             // CutMix
  Box box;                        // of the patch
};

Mix draw_mix(const MixOptions& options, int64_t images, int side, Random random);
double draw_beta(double a, Random& random);  // from Beta(a, a), a > 0

Tensor partners_of(const Tensor& rows, const Mix& mix);  // rows (n,...) on the processor, reordered

}  // namespace graft
