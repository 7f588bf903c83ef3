// Classes told by example: the nearest of the images that were stored vote, as
// layers/neighbour_vote.h says. logits_c = ln(1 + share_c / e), e = 1e-6: softmax gives the shares
// back to within K e, and a ReLU behind the head cuts nothing off. Nothing in here learns by
// gradient. weight (K,M): 1 where stored image m shows class k, else 0; images (M,C): their
// features at length 1.
#pragma once
#include "layers/module.h"

namespace graft {

inline constexpr float kLeastShare = 1e-6f;  // e

class NeighbourHead : public Module {
 public:
  // k neighbours of m stored images; their values are uninitialised.
  NeighbourHead(int64_t features, int64_t classes, int64_t k, int64_t m)
      : weight({classes, m}), images({m, features}), k_(k) {}

  // Features (M,C) or (M,H,W,C), of which the mean counts, and labels (M), int32.
  void store(const Tensor& features, const Tensor& labels);

  Tensor forward(Tensor x) override;  // (N,C) -> (N,K), (N,H,W,C) -> (N,1,1,K)
  std::string describe() const override {
    return fmt::format("Nearest {} of {} images -> {}", k_, weight.dim(1), weight.dim(0));
  }
  GRAFT_FIELDS(weight, images)

  Param weight, images;

 private:
  int64_t k_;
};

}  // namespace graft
