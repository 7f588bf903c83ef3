#include "core/autograd.h"

#include <algorithm>
#include <unordered_set>

#include "core/dispatch.h"
#include "core/trace.h"
#include "kernels/elementwise.h"

namespace graft {
namespace {

thread_local bool recording_on = true;

// Adds term to the gradient of input. The first term is kept as it is, without a copy; storage
// that somebody else may hold is never added into.
void accumulate(History& own, Tensor term) {
  GRAFT_CHECK(term.shape() == own.shape, "backward: gradient {} for a tensor of shape {}",
              term.shape(), own.shape);
  if (!own.grad.defined()) {
    own.grad = std::move(term);
    return;
  }
  bool ours = own.grad_in_place || (own.grad.impl().use_count() == 1 &&
                                   own.grad.impl()->storage.use_count() == 1);
  Tensor sum = ours ? own.grad : empty_like(own.grad, own.shape);
  GRAFT_KERNEL(sum, add, sum.size(), in<T>(own.grad), in<T>(term), out<T>(sum));
  own.grad = std::move(sum);
}

// Every tensor that was recorded on the way to root, inputs before outputs. No recursion: deep
// networks would exhaust the stack.
std::vector<std::shared_ptr<History>> topological_order(const Tensor& root) {
  struct Visit {
    std::shared_ptr<History> tensor;
    size_t next = 0;
  };
  std::vector<std::shared_ptr<History>> order;
  std::unordered_set<const History*> seen{history_of(root).get()};
  std::vector<Visit> path{{history_of(root)}};
  while (!path.empty()) {
    Visit& at = path.back();
    const auto& node = at.tensor->node;
    if (node && at.next < node->edges.size()) {
      const auto& input = node->edges[at.next++].input;
      if (seen.insert(input.get()).second) path.push_back({input});
    } else {
      order.push_back(std::move(at.tensor));
      path.pop_back();
    }
  }
  return order;
}

std::vector<Tensor> inputs_of(const std::vector<InputGrad>& grads) {
  std::vector<Tensor> inputs;
  for (const InputGrad& g : grads) inputs.push_back(g.input);
  return inputs;
}

}  // namespace

const std::shared_ptr<History>& history_of(const Tensor& t) {
  auto& history = (t.shape(), t.impl())->history;
  if (!history) history = std::make_shared<History>(History{.shape = t.shape()});
  return history;
}

std::shared_ptr<Node> node_of(const Tensor& t) {
  const auto& history = (t.shape(), t.impl())->history;
  return history ? history->node : nullptr;
}

Tensor record(const char* op, Tensor y, std::vector<InputGrad> grads) {
  if (std::vector<Tensor> inputs = inputs_of(grads); tracing(inputs))
    return note_unknown(op, std::move(inputs), std::move(y));
  if (!recording_on) return y;
  std::vector<Edge> edges;
  for (InputGrad& g : grads)
    if (g.input.requires_grad()) edges.push_back({history_of(g.input), std::move(g.grad)});
  if (edges.empty()) return y;
  y.impl()->requires_grad = true;
  history_of(y)->node = std::make_shared<Node>(Node{op, std::move(edges)});
  return y;
}

Tensor record(const char* op, Tensor y, std::vector<Tensor> inputs, JointGrad grads) {
  if (tracing(inputs)) return note_unknown(op, std::move(inputs), std::move(y));
  if (!recording_on) return y;
  Needed needed;
  for (const Tensor& t : inputs) needed.push_back(t.requires_grad());
  auto shared = std::make_shared<std::vector<Tensor>>();  // filled by the first edge that runs
  std::vector<InputGrad> each;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!needed[i]) continue;
    each.push_back({inputs[i], [=](const Tensor& dy) {
                      if (shared->empty()) *shared = grads(dy, needed);
                      return std::move((*shared)[i]);
                    }});
  }
  return record(op, std::move(y), std::move(each));
}

bool recording(std::initializer_list<const Tensor*> inputs) {
  if (tracing(inputs)) return true;
  if (!recording_on) return false;
  for (const Tensor* t : inputs)
    if (t->requires_grad()) return true;
  return false;
}

NoGrad::NoGrad() : before_(recording_on) { recording_on = false; }
NoGrad::~NoGrad() { recording_on = before_; }

void Tensor::backward(float factor) const {
  backward(Tensor::full({}, factor).to(device()));
}

void Tensor::backward(const Tensor& factor) const {
  GRAFT_CHECK(size() == 1, "backward: starts at a scalar, not at shape {}", shape());
  GRAFT_CHECK(requires_grad(), "backward: nothing that made this tensor wants a gradient");
  std::vector<std::shared_ptr<History>> order = topological_order(*this);
  accumulate(*history_of(*this), factor.detach().reshape(shape()));
  while (!order.empty()) {
    std::shared_ptr<History> y = std::move(order.back());
    order.pop_back();
    auto node = std::move(y->node);
    if (!node) continue;
    Tensor dy = std::move(y->grad);
    for (Edge& edge : node->edges) {
      accumulate(*edge.input, edge.grad(dy));
      edge.grad = nullptr;  // what it captured is free now
    }
  }
}

}  // namespace graft
