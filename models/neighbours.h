// What features are worth without any training: each image gets the class that its nearest
// neighbours by cosine vote for, with weights e^(s / t) of their cosines s. As Wu et al.,
// "Unsupervised feature learning via non-parametric instance discrimination", CVPR 2018,
// section 3.4.
#pragma once
#include "models/features.h"

namespace graft {

struct NeighbourSpec {
  int64_t k = 20;             // as many as there are, where those are fewer
  double temperature = 0.07;  // t
};

// The share of `asked` whose class the neighbours among `known` tell. Of a map its mean counts.
double neighbour_accuracy(const Features& known, const Features& asked, int64_t classes,
                          const NeighbourSpec& spec = {});
// The share of `known` that the others among them tell: exact, each image is left out of its own
// vote.
double neighbour_accuracy_left_out(const Features& known, int64_t classes,
                                   const NeighbourSpec& spec = {});

}  // namespace graft
