// The state dict in what torch.save wrote: which tensors it names, and where their elements lie.
// The object is the state dict itself, or a checkpoint that has it under one of these keys, the
// first that names a dict with tensors in it: state_dict, model_state_dict, model, net, network,
// weights, params, state_dict_ema, model_ema. The prefixes module. and _orig_mod. of names (data
// parallel and compiled models) are dropped. Allowed in the state dict: collections.OrderedDict,
// torch._utils._rebuild_tensor, _rebuild_tensor_v2 and _rebuild_parameter,
// torch._tensor._rebuild_from_type_v2, torch.Tensor, torch.nn.parameter.Parameter and the storages
// of io/elements.h. Any other global in it is refused by name. What stands beside it is neither
// built nor looked into, and listed.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "io/pickle.h"
#include "io/torch_tensors.h"

namespace graft {

struct TorchState {
  TorchTensors tensors;              // every window checked
  std::map<std::string, std::string> names;  // of those whose prefix was dropped: as in the file
  std::vector<std::string> skipped;  // "epoch (a number)": beside, or no tensor; 1000 at most
};

// `known`: tensors that a persistent id names at once, as in files of the oldest form.
// Throws Fault::data with `file` and the name of the tensor or global.
TorchState find_state(const Pickle& pickle, const std::string& file,
                      const TorchTensors& known = {});

}  // namespace graft
