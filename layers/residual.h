// x + branch(x), under the published name of the branch. The sum is part of the branch's last
// kernel, unless that is a branch to be dropped at random (see layers/stochastic_depth.h).
#pragma once
#include "layers/sequential.h"
#include "layers/stochastic_depth.h"

namespace graft {

class Residual : public Module {
 public:
  Residual(const char* name, Sequential branch, bool shortcut, float drop = 0)
      : branch(std::move(branch)), stochastic_depth(drop), name_(name), shortcut_(shortcut) {}

  Tensor forward(Tensor x) override {
    if (!shortcut_) return branch(std::move(x));
    if (stochastic_depth.draws()) return add(stochastic_depth(branch(x)), x);
    return branch.forward(x, x);
  }
  void fields(Visitor& v) override {
    v.child(name_, branch);
    v.child("stochastic_depth", stochastic_depth);
  }
  std::string describe() const override { return shortcut_ ? "Residual" : "Block"; }

  Sequential branch;
  StochasticDepth stochastic_depth;

 private:
  const char* name_;
  bool shortcut_;
};

}  // namespace graft
