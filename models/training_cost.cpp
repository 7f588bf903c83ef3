#include "models/training_cost.h"

#include <map>
#include <string_view>

#include "core/trace.h"
#include "layers/batch_norm.h"

namespace graft {
namespace {

std::vector<TracedOp> trace(Classifier& model, int64_t side, Tensor& input) {
  const bool was_training = model.training();
  model.eval();
  Trace trace;
  input = trace.input({1, side, side, 3});
  try {
    model.head(model.hidden(model.trunk(input)));
  } catch (...) {
    model.train(was_training);
    throw;
  }
  model.train(was_training);
  return trace.steps();
}

// What of the network learns: by a plan, or everything.
class Learning {
 public:
  Learning(Classifier& model, bool everything) : everything_(everything) {
    each_module(model, [&](auto&, Module& m) {
      if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) norms_[place_of(norm->weight)] = norm->policy();
    });
  }
  bool parameter(const Tensor& t) const { return t.defined() && (everything_ || t.requires_grad()); }
  bool batch_statistics(const Tensor& gamma) const {
    auto norm = norms_.find(place_of(gamma));
    if (everything_ || norm == norms_.end()) return everything_;
    return norm->second == NormPolicy::train || norm->second == NormPolicy::stats;
  }

 private:
  bool everything_;
  std::map<Place, NormPolicy> norms_;
};

// One pass over the trace: which values want a gradient, what that costs, and what it reads.
class Pass {
 public:
  Pass(const Tensor& input, const Learning& learning) : learning_(learning) {
    wanted_[place_of(input)] = false;
  }

  StepCost cost(const TracedOp& op) {
    bool wanted = false;
    for (const Tensor& t : op.inputs) wanted |= wants(t);
    wanted_[place_of(op.output)] = wanted;
    made_by_[place_of(op.output)] = &op;
    StepCost cost;
    if (wanted) cost = {flops(op), bytes(op)};
    return cost;
  }

 private:
  bool wants(const Tensor& t) const {
    if (!t.defined()) return false;
    auto value = wanted_.find(place_of(t));
    return value == wanted_.end() ? learning_.parameter(t) : value->second;
  }

  double flops(const TracedOp& op) const {
    const std::string_view name = op.name;
    const double y = double(op.output.size());
    double forward = 0;
    if (name == "attention") return 8 * y * double(op.output.dim(1));  // of q k^T and of (...) v
    if (name == "conv2d" || name == "linear")
      forward = 2 * y * double(op.inputs[1].size()) / double(op.inputs[1].dim(0));
    else if (name == "matmul")
      forward = 2 * y * double(op.inputs[0].dim(1));
    else
      return 0;
    return forward * (double(wants(op.inputs[0])) + double(wants(op.inputs[1])));
  }

  int64_t bytes(const TracedOp& op) {
    const std::string_view name = op.name;
    const std::vector<Tensor>& in = op.inputs;
    if (name == "conv2d" || name == "linear") return wants(in[1]) ? keep(in[0]) : 0;
    if (name == "batch_norm_frozen")
      return wants(in[1]) || (learning_.batch_statistics(in[1]) && wants(in[0])) ? keep(in[0]) : 0;
    if (name == "layer_norm") return wants(in[0]) || wants(in[1]) ? keep(in[0]) : 0;
    if (name == "activate") return keep(read_by_activation(op));
    if (name == "max_pool2d") return op.output.size();  // a byte each: which of its window it was
    if (name == "softmax") return keep(op.output);
    if (name == "attention" || name == "cosine_heads") return keep(in[0]);
    if (name == "matmul" || name == "mul" || name == "mul_images")
      return (wants(in[0]) ? keep(in[1]) : 0) + (wants(in[1]) ? keep(in[0]) : 0);
    return 0;  // the others move values or add them
  }

  // A norm that runs with its activation keeps one value for both.
  const Tensor& read_by_activation(const TracedOp& op) const {
    if (gradient_from_output(std::any_cast<Activation>(op.options))) return op.output;
    auto before = made_by_.find(place_of(op.inputs[0]));
    const bool norm = before != made_by_.end() &&
                      before->second->name == std::string_view("batch_norm_frozen");
    return norm ? before->second->inputs[0] : op.inputs[0];
  }

  int64_t keep(const Tensor& t) {  // parameters are there anyway
    const bool value = wanted_.contains(place_of(t));
    return value && kept_.insert(place_of(t)).second ? t.size() * int64_t(sizeof(float)) : 0;
  }

  const Learning& learning_;
  std::map<Place, bool> wanted_;
  std::map<Place, const TracedOp*> made_by_;
  std::set<Place> kept_;
};

std::map<Place, std::string> layers_of(Classifier& model) {
  std::map<Place, std::string> layers;
  each_param(model, [&](const std::string& path, Param& p) {
    const size_t dot = path.rfind('.');
    layers[place_of(p)] = dot == path.npos ? path : path.substr(0, dot);
  });
  return layers;
}

}  // namespace

StepCost& StepCost::operator+=(const StepCost& other) {
  flops += other.flops, bytes += other.bytes;
  return *this;
}

std::vector<LayerCost> training_costs(Classifier& model, int64_t side) {
  Tensor input;
  const std::vector<TracedOp> steps = trace(model, side, input);
  const Learning plan(model, false), everything(model, true);
  Pass planned(input, plan), full(input, everything);
  const std::map<Place, std::string> layers = layers_of(model);
  std::vector<LayerCost> costs;
  for (const TracedOp& op : steps) {
    std::string layer = costs.empty() ? "" : costs.back().layer;
    for (const Tensor& t : op.inputs)
      if (auto found = t.defined() ? layers.find(place_of(t)) : layers.end(); found != layers.end())
        layer = found->second;
    if (costs.empty() || costs.back().layer != layer) costs.push_back({layer, {}, {}, {}});
    costs.back().output = op.output.shape();
    costs.back().planned += planned.cost(op);
    costs.back().full += full.cost(op);
  }
  return costs;
}

}  // namespace graft
