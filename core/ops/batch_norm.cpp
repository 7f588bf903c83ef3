#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/moments.h"
#include "core/norm_source.h"
#include "core/norm_sums.h"
#include "core/ops.h"
#include "core/trace.h"

namespace graft {
namespace {

void check_shapes(const char* op, const Tensor& x, std::initializer_list<const Tensor*> per_channel,
                  const Tensor& residual) {
  GRAFT_CHECK(x.rank() >= 1, "{}: x {} has no channels", op, x.shape());
  for (const Tensor* t : per_channel)
    GRAFT_CHECK(!t->defined() || t->shape() == Shape{x.dim(-1)}, "{}: {} for x {}", op, t->shape(),
                x.shape());
  GRAFT_CHECK(!residual.defined() || residual.shape() == x.shape(), "{}: residual {} for x {}", op,
              residual.shape(), x.shape());
}

enum Input { kX, kGamma, kBeta, kResidual };

// dx, dgamma and dbeta, as far as `to` wants them, of a norm whose statistics carry gradient.
void gradients_train(const Norm& norm, const NormProblem& p, const Tensor& x, const Tensor& y,
                     const Tensor& dy, std::vector<Tensor>& to, Tensor& residual) {
  if constexpr (kWithCuda) {
    if (const Tensor sums = norm_sums(dy, norm.mean); sums.defined()) {
      const KernelScope scope(dy.device());
      const cuda::GradientSums known{in<float>(sums), sums.dim(0)};
      return with_float_type(dy.dtype(), [&]<class T>() {
        cuda::batch_norm_backward_by_sums(
            p, in<T>(x), in<T>(dy), known,
            {out<T>(to[kX]), out<float>(to[kGamma]), out<float>(to[kBeta])}, stream());
      });
    }
  }
  GRAFT_KERNEL(dy, batch_norm_backward_train, p, in<T>(x), in<T>(y), in<T>(dy),
               {out<T>(to[kX]), out<float>(to[kGamma]), out<float>(to[kBeta]), out<T>(residual)});
}

std::vector<Tensor> gradients(const Norm& norm, const Tensor& x, const Tensor& y, const Tensor& dy,
                              const Needed& needed) {
  std::vector<Tensor> result(4);
  NormProblem p = norm.problem(dy);
  if (needed[kX]) result[kX] = empty_like(dy, dy.shape());
  if (needed[kGamma]) result[kGamma] = empty_f32(dy, {p.channels});
  if (needed[kBeta]) result[kBeta] = empty_f32(dy, {p.channels});
  bool passes_through = p.activation == Activation::none;  // the residual's gradient is dy itself
  if (needed[kResidual]) result[kResidual] = passes_through ? dy : empty_like(dy, dy.shape());
  Tensor none, &residual = passes_through ? none : result[kResidual];
  if (norm.trains_statistics)
    gradients_train(norm, p, x, y, dy, result, residual);
  else
    GRAFT_KERNEL(dy, batch_norm_backward_frozen, p, in<T>(x), in<T>(y), in<T>(dy),
                 {out<T>(result[kX]), out<float>(result[kGamma]), out<float>(result[kBeta]),
                  out<T>(residual)});
  return result;
}

Tensor normalized(const Tensor& x, const Norm& norm, const Tensor& residual) {
  Tensor y = empty_like(x, x.shape());
  GRAFT_KERNEL(y, batch_norm_forward, norm.problem(x), in<T>(x), in<T>(residual), out<T>(y));
  return y;
}

// Whether y is made when somebody reads it: on a CUDA device, where x is kept for the gradient,
// which follows from x alone.
bool waits_for_a_reader(const Tensor& x, const Norm& norm, const Tensor& residual) {
  return x.device() == Device::cuda && norm.trains_statistics && !residual.defined();
}

Tensor apply(const char* op, Norm norm, const Tensor& x, const Tensor& residual) {
  const bool recorded = recording({&x, &norm.gamma, &norm.beta, &residual});
  const bool waits = recorded && waits_for_a_reader(x, norm, residual);
  Tensor y = waits ? normalized_when_read(x, norm) : normalized(x, norm, residual);
  if (!recorded) return y;

  std::vector<Tensor> inputs{x, norm.gamma, norm.beta, residual};
  bool from_output = gradient_from_output(norm.activation) && !waits;
  bool reads_x = norm.gamma.requires_grad() || (norm.trains_statistics && x.requires_grad());
  Tensor kept_x = reads_x || !from_output ? x.detach() : Tensor();
  Tensor kept_y = from_output && norm.activation != Activation::none ? y.detach() : Tensor();
  if (norm.gamma.defined()) norm.gamma = norm.gamma.detach();
  if (norm.beta.defined()) norm.beta = norm.beta.detach();
  return record(op, y, std::move(inputs), [=](const Tensor& dy, const Needed& needed) {
    return gradients(norm, kept_x, kept_y, dy, needed);
  });
}

// Such an activation's gradient needs the sum before it, which nobody keeps: two operations then.
bool must_split(Activation a, const Tensor& residual) {
  return !gradient_from_output(a) && residual.defined();
}

void statistics_of(const Tensor& x, int64_t rows, int64_t channels, const BatchStatistics& to) {
  if constexpr (kWithCuda) {
    if (const KnownMoments moments = take_moments(x); moments.of.defined()) {
      const KernelScope scope(x.device());
      const auto* of = reinterpret_cast<const cuda::ChannelMoments*>(in<float>(moments.of));
      return cuda::batch_norm_statistics(rows, channels, {of, moments.tiles}, to, stream());
    }
  }
  GRAFT_KERNEL(x, batch_norm_statistics, rows, channels, in<T>(x), to);
}

Tensor rstd_of(const Tensor& var, float eps) {
  Tensor rstd = empty_f32(var, var.shape());
  GRAFT_KERNEL(rstd, batch_norm_rstd, var.size(), in<float>(var), eps, out<float>(rstd));
  return rstd;
}

}  // namespace

Tensor batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                        Tensor running_mean, Tensor running_var, float momentum, float eps,
                        Activation activation, const Tensor& residual, bool update_running) {
  constexpr const char* op = "batch_norm_train";
  check_shapes(op, x, {&gamma, &beta, &running_mean, &running_var}, residual);
  if (must_split(activation, residual) && recording({&x, &gamma, &beta, &residual}))
    return activate(batch_norm_train(x, gamma, beta, running_mean, running_var, momentum, eps,
                                     Activation::none, residual, update_running),
                    activation);
  const int64_t channels = x.dim(-1), rows = channels ? x.size() / channels : 0;
  GRAFT_CHECK(rows > 1, "{}: x {} has {} values per channel, statistics need more", op, x.shape(),
              rows);
  Tensor mean = empty_f32(x, {channels}), rstd = empty_f32(x, {channels}), none;
  Tensor &mean_to = update_running ? running_mean : none, &var_to = update_running ? running_var : none;
  const KernelScope scope(x.device());
  statistics_of(x, rows, channels,
                {.mean = out<float>(mean), .rstd = out<float>(rstd), .eps = eps,
                 .running_mean = out<float>(mean_to), .running_var = out<float>(var_to),
                 .momentum = momentum});
  return apply(op, {mean, rstd, gamma, beta, activation, true}, x, residual);
}

Tensor batch_norm_frozen(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const Tensor& mean, const Tensor& var, float eps, Activation activation,
                         const Tensor& residual) {
  constexpr const char* op = "batch_norm_frozen";
  check_shapes(op, x, {&gamma, &beta, &mean, &var}, residual);
  if (tracing({&x, &residual})) {
    Tensor y = traced(op, {x, gamma, beta, mean, var}, x.shape(), eps);
    return activate(residual.defined() ? add(y, residual) : y, activation);
  }
  if (must_split(activation, residual) && recording({&x, &gamma, &beta, &residual}))
    return activate(batch_norm_frozen(x, gamma, beta, mean, var, eps, Activation::none, residual),
                    activation);
  return apply(op, {mean.detach(), rstd_of(var, eps), gamma, beta, activation, false}, x, residual);
}

}  // namespace graft
