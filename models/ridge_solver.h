// A head by least squares: targets are 1 for an image's class and 0 for the others, the objective
// is mean |y - W x - b|^2 / 2 + l2/2 |W|^2 over W on features brought to mean 0 and variance 1, the
// bias not penalised. In closed form, so each image can be judged by the head that the others give
// (models/ridge_path.h). What was found is written for the features as they are, times one factor
// that makes the left-out logits the best probabilities; it changes no class.
#pragma once
#include "models/features.h"

namespace graft {

struct RidgeResult {
  double l2 = 0;        // as given, or of the grid the one whose left-out error is the least
  double accuracy = 0;  // of images left out; exact, at the scaling of the features by all of them
  double error = 0;     // mean square over left-out images and classes
  double factor = 1;    // on weights and bias
  double loss = 0;      // mean cross-entropy of the head on these features
};

// Changes the layer that knows the classes and nothing else, on the processor. l2 0: chosen from
// 1e-4, 3e-4, ... 1000. Of a map, the mean over its places counts, and the biases are raised by one
// number so that a ReLU behind the head cuts nothing off. Throws Fault::usage as linear_head()
// does, Fault::data when a feature is not finite, all are constant, there is but one image, or the
// system is singular.
RidgeResult solve_ridge(Classifier& model, const Features& features, double l2 = 0);

}  // namespace graft
