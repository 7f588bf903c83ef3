#include "layers/l2_sp.h"

#include "core/autograd.h"
#include "core/ops.h"
#include "kernels/parallel.h"

namespace graft {
namespace {

constexpr int64_t kPullGrain = 1 << 14;

// g += alpha loss_scale (w - w0)
void pull(const Tensor& w, const Tensor& w0, double alpha, const Tensor& loss_scale, Tensor g) {
  if (g.device() != Device::cpu) {
    NoGrad no_grad;
    const Tensor way = scale(add(w.detach(), scale(w0, -1)), float(alpha));
    return g.copy_from(add(g, scale(way, loss_scale)));
  }
  const float factor = float(alpha * double(*loss_scale.data()));
  const float *value = w.data(), *start = w0.data();
  float* grad = g.mutable_data();
  cpu::parallel_for(w.size(), kPullGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) grad[i] += factor * (value[i] - start[i]);
  });
}

}  // namespace

L2Sp::L2Sp(Module& model, const std::string& head, double alpha) : alpha_(alpha) {
  each_param(model, [&](const std::string& path, Param& p) {
    if (p.requires_grad() && !path.starts_with(head + ".")) pulled_.push_back({path, p, p.clone()});
  });
  if (pulled_.empty())
    fail(Fault::usage, "L2-SP: nothing that was pretrained learns here, only {}; let more learn",
         head);
}

void L2Sp::add_gradient(const Tensor& loss_scale) {
  for (Pulled& p : pulled_)
    if (p.param.requires_grad() && p.param.grad().defined())
      pull(p.param, p.start, alpha_, loss_scale, p.param.grad());
}

std::set<std::string> L2Sp::paths() const {
  std::set<std::string> paths;
  for (const Pulled& p : pulled_) paths.insert(p.path);
  return paths;
}

TensorMap L2Sp::state() const {
  TensorMap state;
  for (const Pulled& p : pulled_) state[p.path] = p.start.clone(Device::cpu);
  return state;
}

void L2Sp::load_state(const TensorMap& state) {
  for (const Pulled& p : pulled_) {
    auto found = state.find(p.path);
    GRAFT_CHECK(
        found != state.end() && found->second.shape() == p.start.shape(),
        "L2-SP: where '{}' started is missing or of another shape; it was saved under another "
        "freeze plan",
        p.path);
  }
  GRAFT_CHECK(state.size() == pulled_.size(), "L2-SP: {} starting points for {} tensors",
              state.size(), pulled_.size());
  for (Pulled& p : pulled_) p.start.copy_from(state.at(p.path));
}

}  // namespace graft
