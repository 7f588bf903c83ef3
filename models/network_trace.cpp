#include "models/network_trace.h"

#include <algorithm>
#include <cstdint>
#include <string_view>

#include "layers/dropout.h"

namespace graft {

NetworkTrace trace_network(Classifier& model, int64_t side) {
  const bool was_training = model.training();
  model.eval();
  each_module(model, [](auto&, Module& m) {
    if (dynamic_cast<Dropout*>(&m)) m.train();
  });
  Trace trace;
  const Tensor input = trace.input({1, side, side, 3});
  try {
    model.head(model.hidden(model.trunk(input)));
  } catch (...) {
    model.train(was_training);
    throw;
  }
  model.train(was_training);
  return {input, trace.steps()};
}

int64_t largest_cuda_batch(Classifier& model, int64_t side) {
  int64_t largest = 1;  // elements of one image
  for (const TracedOp& op : trace_network(model, side).steps)
    if (op.name == std::string_view("conv2d"))
      largest = std::max({largest, op.inputs[0].size(), op.output.size()});
  return INT32_MAX / largest;
}

}  // namespace graft
