// What the parts of PyTorch's pickles name: storages, their elements and their keys. The functions
// throw Fault::data without naming a file; within() adds that.
#pragma once
#include <span>
#include <string>
#include <string_view>

#include "io/pickle.h"
#include "io/torch_tensors.h"

namespace graft {

// The storage of an id ('storage', class, key, device, count[, view]).
TorchStorage storage_of(const Pickle& pickle, Pickle::Ref id);

// The elements of torch.FloatStorage, torch.cuda.FloatStorage, ...; null for any other name.
const Elements* elements_of(std::string_view storage_class);
const Elements& elements_of(const Pickle& pickle, Pickle::Ref storage_class);

std::string key_of(const Pickle& pickle, Pickle::Ref key);  // of a short text or an integer
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
