// The state dict in what torch.save wrote: which tensors it names, and where their elements lie.
// The object is the state dict itself, or a checkpoint that has it under one of these keys, the
// first that is there: state_dict, model_state_dict, model, net, network, weights, params,
// state_dict_ema, model_ema. The prefixes module. and _orig_mod. of names (data parallel and
// compiled models) are dropped.
// Allowed in the state dict: collections.OrderedDict, torch._utils._rebuild_tensor,
// _rebuild_tensor_v2 and _rebuild_parameter, torch._tensor._rebuild_from_type_v2, torch.Tensor,
// torch.nn.parameter.Parameter and the storages of io/elements.h. Any other global in it is refused
// by name. What stands beside it is neither built nor looked into, and listed.
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
  std::vector<std::string> skipped;  // "epoch (a number)": what is beside, or no tensor
};

// `known`: tensors that a persistent id names at once, as in files of the oldest form.
// Throws Fault::data with `file` and the name of the tensor or global.
TorchState find_state(const Pickle& pickle, const std::string& file,
                      const TorchTensors& known = {});

// Parts that the containers need as well. They throw Fault::data without naming a file.
// The storage of an id ('storage', class, key, device, count[, view]).
TorchStorage storage_of(const Pickle& pickle, Pickle::Ref id);
// The elements of torch.FloatStorage, torch.cuda.FloatStorage, ...
const Elements& elements_of(const Pickle& pickle, Pickle::Ref storage_class);
std::string key_of(const Pickle& pickle, Pickle::Ref key);  // of a text or an integer
std::span<const Pickle::Ref> tuple_of(const Pickle& pickle, Pickle::Ref tuple, size_t least);

// Runs f and puts `where` before the message of an Error that it throws.
template <class F>
auto within(const std::string& where, F f) {
  try {
    return f();
  } catch (const Error& e) {
    throw Error(e.fault, where + ": " + e.what());
  }
}

}  // namespace graft
