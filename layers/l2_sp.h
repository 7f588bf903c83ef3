// L2-SP (Li, Grandvalet and Davoine, ICML 2018): a penalty alpha/2 |w - w0|^2 on what was
// pretrained holds it near where it started. Weight decay is then for the rest, the new head,
// alone: see OptimizerOptions::no_decay. Keeps one copy of w.
#pragma once
#include <set>
#include <string>

#include "core/tensor_map.h"
#include "layers/module.h"

namespace graft {

class L2Sp {
 public:
  // Of all that learns now but for what is below `head`, w0 its values now. Throws Fault::usage
  // when nothing else learns.
  L2Sp(Module& model, const std::string& head, double alpha);

  // Adds alpha (w - w0) to the gradients of those that learn and have one; gradients are
  // `loss_scale` times too large, and so is what is added; () f32, where they are.
  void add_gradient(const Tensor& loss_scale);
  std::set<std::string> paths() const;

  TensorMap state() const;  // w0 by path
  void load_state(
      const TensorMap& state);  // throws where names or shapes differ, changes nothing then

 private:
  struct Pulled {
    std::string path;
    Tensor param, start;
  };
  double alpha_;
  std::vector<Pulled> pulled_;
};

}  // namespace graft
