// What features are worth without any training: each image gets the class that its nearest
// neighbours vote for (layers/neighbour_vote.h); and a head of such neighbours.
#pragma once
#include "layers/neighbour_vote.h"
#include "models/features.h"

namespace graft {

// The share of `asked` whose class the neighbours among `known` tell. Of a map its mean counts.
double neighbour_accuracy(const Features& known, const Features& asked, int64_t classes,
                          const NeighbourSpec& spec = {});
// The share of `known` that the others among them tell: exact, each image is left out of its own
// vote.
double neighbour_accuracy_left_out(const Features& known, int64_t classes,
                                   const NeighbourSpec& spec = {});

struct NeighbourResult {
  double accuracy = 0;  // of the stored images by the others among them
  double loss = 0;      // mean cross-entropy of those votes
};

// Gives the model a head of so many neighbours (layers/neighbour_head.h), on the processor, with the
// features as its stored images. Throws Fault::data when there is none or one is not finite.
NeighbourResult store_neighbours(Classifier& model, const Features& features, int64_t k);

}  // namespace graft
