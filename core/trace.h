// What a network would do, written down instead of done: for files that hold a graph of operations.
// While a Trace lives, an operation on one of its values checks shapes as ever, is noted, and hands
// on a value of the right shape that nobody computed. Fused operations are noted as their parts.
// Operations on other tensors alone, parameters that is, are computed as usual: constants.
// One that does not note itself, an operation that nobody thought of, is noted by record().
#pragma once
#include <any>
#include <set>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace graft {

class Storage;

struct TracedOp {
  const char* name;            // of the function in core/ops.h
  std::vector<Tensor> inputs;  // undefined where an optional one was not given
  Tensor output;
  std::any options;            // what else the function takes: ConvSpec, PoolSpec, ...
};

// Where a tensor's values begin: the same for all handles on them.
using Place = std::pair<const Storage*, size_t>;
Place place_of(const Tensor& t);

class Trace {  // of this thread; one at a time
 public:
  Trace();
  ~Trace();
  Trace(const Trace&) = delete;

  Tensor input(Shape shape);  // a value to begin with
  const std::vector<TracedOp>& steps() const { return steps_; }  // in the order of execution

  bool has(const Tensor& t) const { return t.defined() && values_.contains(place_of(t)); }
  Tensor note(TracedOp step);                     // -> its output
  Tensor note(const char* op, std::vector<Tensor> inputs, Shape result, std::any options);
  // Whether somebody asked for the values of one, which are zeros: what came of it is no constant.
  bool values_were_read() const { return read_; }

 private:
  std::vector<TracedOp> steps_;
  std::vector<Tensor> inputs_;
  Tensor placeholder(Shape shape);

  std::set<Place> values_;
  bool read_ = false;
};

// True when an operation on these inputs is to be noted and not computed.
bool tracing(std::initializer_list<const Tensor*> inputs);
bool tracing(const std::vector<Tensor>& inputs);

// Notes an operation, where tracing() said so, and returns its result.
Tensor traced(const char* op, std::vector<Tensor> inputs, Shape result, std::any options = {});
// For one that was computed already.
Tensor note_unknown(const char* op, std::vector<Tensor> inputs, Tensor result);

}  // namespace graft
