// The factor that keeps gradients in the range of f16: twice as large after `patience` good steps
// in a row, half after one whose gradients are not finite (Micikevicius et al., ICLR 2018).
#pragma once
#include <algorithm>
#include <cstdint>

namespace graft {

struct LossScale {
  double value = 1;
  int64_t good_steps = 0;  // in a row
  static constexpr int64_t patience = 2000;

  void succeeded() {
    if (++good_steps < patience) return;
    value = std::min(value * 2, 0x1p24);
    good_steps = 0;
  }
  void failed() {
    value /= 2;
    good_steps = 0;
  }
};

}  // namespace graft
