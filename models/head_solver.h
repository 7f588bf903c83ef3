// A head on features that stay is a convex problem (a linear head) or nearly (SqueezeNet's ends with
// a ReLU): it is solved, not trained. Objective, as in logistic regression: mean cross-entropy
// + l2/2 |W|^2 over W on features brought to mean 0 and variance 1; the bias is not penalised. What
// was found is then written as weights for the features as they are.
#pragma once
#include "core/ops.h"
#include "layers/lbfgs.h"
#include "models/features.h"

namespace graft {

struct HeadSolverOptions {
  double l2 = 1e-2;
  CrossEntropySpec loss;
  LbfgsOptions lbfgs;
};

// Changes the layer that knows the classes and nothing else, and not even that when it is stopped or
// does not converge. That layer is on the processor. `features` are changed, too: they are brought to
// mean 0 and variance 1 in place. Throws Fault::usage when that layer does not learn or
// looks at more than one place of the features (a filter above 1x1).
LbfgsResult solve_head(Classifier& model, Features& features, const HeadSolverOptions& options,
                       const std::function<bool()>& stop = {});

}  // namespace graft
