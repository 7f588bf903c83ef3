// How right a classifier is. The loss is cross_entropy of core/ops.h.
#pragma once
#include "core/ops.h"

namespace graft {

// Rows of logits (N,C) whose label (N) i32 is among the k largest values.
int64_t count_correct(const Tensor& logits, const Tensor& labels, int k = 1);

}  // namespace graft
