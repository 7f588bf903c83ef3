#include "models/training_cost.h"

#include <map>
#include <string_view>

#include "layers/batch_norm.h"
#include "models/network_trace.h"

namespace graft {
namespace {

constexpr int64_t kMeanAndRstd = 2 * sizeof(float);  // bytes of a row

// What of the network learns: by a plan, or everything.
class Learning {
 public:
  Learning(Classifier& model, bool everything) : everything_(everything) {
    each_module(model, [&](auto&, Module& m) {
      if (auto* norm = dynamic_cast<BatchNorm2d*>(&m))
        norms_[place_of(norm->weight)] = norm->policy();
    });
  }
  bool parameter(const Tensor& t) const {
    return t.defined() && (everything_ || t.requires_grad());
  }
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

  double flops_of(const TracedOp& op) {
    bool wanted = false;
    for (const Tensor& t : op.inputs) wanted |= wants(t);
    wanted_[place_of(op.output)] = wanted;
    made_by_[place_of(op.output)] = &op;
    if (!wanted) return 0;
    keep_for(op);
    return flops(op);
  }
  // Bytes by value; with `true` what is no value itself and stands beside one.
  const std::map<std::pair<Place, bool>, int64_t>& kept() const { return kept_; }

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

  void keep_for(const TracedOp& op) {  // the operations that lack here move values or add them
    const std::string_view name = op.name;
    const std::vector<Tensor>& in = op.inputs;
    if (name == "conv2d" || name == "linear") keep(in[0], wants(in[1]));
    if (name == "batch_norm_frozen")
      keep(in[0], wants(in[1]) || (learning_.batch_statistics(in[1]) && wants(in[0])));
    if (name == "layer_norm") {
      keep(in[0], wants(in[0]) || wants(in[1]));
      keep_beside(op.output, op.output.size() / op.output.dim(-1) * kMeanAndRstd);
    }
    if (name == "activate") keep(read_by_activation(op));
    if (name == "softmax") keep(op.output);
    if (name == "attention" || name == "cosine_heads") keep(in[0]);
    if (name == "matmul" || name == "mul" || name == "mul_images")
      keep(in[1], wants(in[0])), keep(in[0], wants(in[1]));
    if (name == "max_pool2d")  // a byte each: which of its window it was
      keep_beside(op.output, op.output.size());
  }

  // A norm that runs with its activation keeps one value for both.
  const Tensor& read_by_activation(const TracedOp& op) const {
    if (gradient_from_output(std::any_cast<Activation>(op.options))) return op.output;
    auto before = made_by_.find(place_of(op.inputs[0]));
    const bool norm =
        before != made_by_.end() && before->second->name == std::string_view("batch_norm_frozen");
    return norm ? before->second->inputs[0] : op.inputs[0];
  }

  void keep(const Tensor& t, bool read = true) {  // parameters are there anyway
    if (read && wanted_.contains(place_of(t)))
      kept_[{place_of(t), false}] = t.size() * int64_t(sizeof(float));
  }

  void keep_beside(const Tensor& t, int64_t bytes) { kept_[{place_of(t), true}] = bytes; }

  const Learning& learning_;
  std::map<Place, bool> wanted_;
  std::map<Place, const TracedOp*> made_by_;
  std::map<std::pair<Place, bool>, int64_t> kept_;
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
  const auto [input, steps] = trace_network(model, side);
  const Learning plan(model, false), everything(model, true);
  Pass planned(input, plan), full(input, everything);
  const std::map<Place, std::string> layers = layers_of(model);
  std::vector<LayerCost> costs;
  std::map<Place, size_t> makers{{place_of(input), 0}};
  for (const TracedOp& op : steps) {
    std::string layer = costs.empty() ? "" : costs.back().layer;
    for (const Tensor& t : op.inputs)
      if (auto found = t.defined() ? layers.find(place_of(t)) : layers.end(); found != layers.end())
        layer = found->second;
    if (costs.empty() || costs.back().layer != layer) costs.push_back({layer, {}, {}, {}});
    costs.back().output = op.output.shape();
    costs.back().planned.flops += planned.flops_of(op);
    costs.back().full.flops += full.flops_of(op);
    makers[place_of(op.output)] = costs.size() - 1;
  }
  for (const auto& [value, bytes] : planned.kept())
    costs[makers.at(value.first)].planned.bytes += bytes;
  for (const auto& [value, bytes] : full.kept()) costs[makers.at(value.first)].full.bytes += bytes;
  return costs;
}

}  // namespace graft
