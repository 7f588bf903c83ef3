// Reverse-mode differentiation. An operation records one gradient function per input; those whose
// input wants no gradient are dropped at once, and with them everything their closures captured:
// a frozen weight keeps no activation alive. The graph has no other hold on values: those that no
// closure captured are free as soon as nobody else holds them.
// A closure must capture its own output detached, or the graph would own itself and leak.
#pragma once
#include <any>
#include <functional>
#include <vector>

#include "core/tensor.h"

namespace graft {

using GradFunction = std::function<Tensor(const Tensor& dy)>;  // dy -> gradient, in its input's shape

struct InputGrad {
  Tensor input;
  GradFunction grad;
};

// Memory is taken when the values are first asked for. Values that somebody can make again may be
// put away, on the processor; reading brings them back. Not for two threads at once.
class Storage {
 public:
  using Make = std::function<void(void* values)>;
  explicit Storage(size_t bytes, Device device = Device::cpu) : bytes(bytes), device(device) {}
  ~Storage();
  Storage(const Storage&) = delete;

  const size_t bytes;
  const Device device;
  bool in_memory() const { return data_ != nullptr; }
  void* values();
  void* changing_values();               // from here on they are no longer what make gives
  void can_be_made(Make make) { make_ = std::move(make); }
  void put_away();                       // where they can be made again; else nothing happens
  std::any known;                        // of the values; empty once they are changed

 private:
  void* data_ = nullptr;
  Make make_;
};

struct History;

struct Edge {
  std::shared_ptr<History> input;
  GradFunction grad;
};

struct Cast {  // a tensor's values in another type: core/cast.h
  Tensor values;
  uint64_t version = 0;  // of the tensor, when it had them
  bool follows = false;  // written by whoever changes the tensor
};

struct Node {
  const char* op;
  std::vector<Edge> edges;
};

struct History {  // what the graph knows of a tensor
  Shape shape;
  std::shared_ptr<Node> node;  // how it was made; null for a leaf
  Tensor grad;
  bool grad_in_place = false;  // grad was set by the owner: gradients are added into its storage
};

struct Tensor::Impl {
  Shape shape;
  DType dtype = DType::f32;
  std::shared_ptr<Storage> storage;
  size_t offset = 0;  // bytes into storage
  uint64_t version = 0;
  bool requires_grad = false;
  Cast cast;
  std::shared_ptr<History> history;  // from when one is first asked for
};

const std::shared_ptr<History>& history_of(const Tensor& t);
std::shared_ptr<Node> node_of(const Tensor& t);  // how it was made; null for a leaf

// What is known of all values of x, of this kind (core/pixel_source.h, core/moments.h), or null.
template <class Known>
const Known* known_of(const Tensor& x) {
  return x.owns_storage() ? std::any_cast<Known>(&x.impl()->storage->known) : nullptr;
}

// Records how y was made; returns y itself when nothing wants a gradient or recording is off.
Tensor record(const char* op, Tensor y, std::vector<InputGrad> grads);

// The joint form, for operations whose gradients share work: one closure, told which are needed.
using Needed = std::vector<bool>;
using JointGrad = std::function<std::vector<Tensor>(const Tensor& dy, const Needed& needed)>;
Tensor record(const char* op, Tensor y, std::vector<Tensor> inputs, JointGrad grads);

// True when an operation on these inputs will be recorded (so that kernels know what to keep).
bool recording(std::initializer_list<const Tensor*> inputs);

// While one lives, this thread records nothing: for evaluation.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;

 private:
  bool before_;
};

}  // namespace graft
