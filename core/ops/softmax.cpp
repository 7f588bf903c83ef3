#include "kernels/softmax.h"

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"

namespace graft {

Tensor softmax(const Tensor& logits) {
  GRAFT_CHECK(logits.rank() >= 1 && logits.dim(-1) > 0, "softmax: shape {} has no classes",
              logits.shape());
  if (tracing({&logits})) return traced("softmax", {logits}, logits.shape());
  const int64_t classes = logits.dim(-1), rows = logits.size() / classes;
  Tensor y = empty_like(logits, logits.shape());
  GRAFT_KERNEL(y, softmax, rows, classes, in<T>(logits), out<T>(y));
  return record("softmax", y, {{logits, [=, y = y.detach()](const Tensor& dy) {
                                  Tensor dx = empty_like(dy, dy.shape());
                                  GRAFT_KERNEL(dx, softmax_backward, rows, classes, in<T>(y), in<T>(dy),
                                               out<T>(dx));
                                  return dx;
                                }}});
}

namespace {

void check_range(const Tensor& labels, int64_t classes) {
  const int32_t* label = labels.data<int32_t>();
  for (int64_t row = 0; row < labels.size(); ++row)
    GRAFT_CHECK(label[row] >= 0 && label[row] < classes,
                "cross_entropy: label {} of row {} is not in [0, {})", label[row], row, classes);
}

void check_labels(const Tensor& logits, const Tensor& labels, const CrossEntropySpec& spec) {
  GRAFT_CHECK(logits.rank() == 2 && labels.shape() == Shape{logits.dim(0)} && logits.dim(0) > 0,
              "cross_entropy: logits {} and labels {} must be (N,C) and (N)", logits.shape(),
              labels.shape());
  const int64_t classes = logits.dim(1);
  GRAFT_CHECK(!spec.class_weights.defined() || spec.class_weights.shape() == Shape{classes},
              "cross_entropy: class weights {} for {} classes", spec.class_weights.shape(),
              classes);
  GRAFT_CHECK(spec.label_smoothing >= 0 && spec.label_smoothing <= 1,
              "cross_entropy: label smoothing {} is not in [0, 1]", spec.label_smoothing);
  if (labels.device() == Device::cpu) check_range(labels, classes);  // on a device they make NaN
}

Tensor to_f32(const Tensor& x) {
  return record("to_f32", x.to(DType::f32),
                {{x, [type = x.dtype()](const Tensor& dy) { return dy.to(type); }}});
}

// -> the loss, (); writes its gradient where dlogits is defined.
Tensor loss_of(const CrossEntropySpec& spec, const Tensor& logits, const Tensor& labels,
               Tensor& dlogits) {
  const KernelScope scope(logits.device());
  Tensor weights, loss = empty_f32(logits, {});
  if (spec.class_weights.defined()) weights = spec.class_weights.to(logits.device());
  CrossEntropyProblem p{logits.dim(0), logits.dim(1), in<int32_t>(labels), in<float>(weights),
                        spec.label_smoothing};
  if constexpr (kWithCuda) {
    if (logits.device() == Device::cuda) {
      cuda::cross_entropy(p, in<float>(logits), out<float>(dlogits), out<float>(loss), stream());
      return loss;
    }
  }
  *out<float>(loss) = cpu::cross_entropy(p, in<float>(logits), out<float>(dlogits));
  return loss;
}

}  // namespace

// The gradient is as cheap as the loss and smaller than what it would need, so it comes at once.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropySpec& spec) {
  check_labels(logits, labels, spec);
  if (logits.dtype() != DType::f32) return cross_entropy(to_f32(logits), labels, spec);
  Tensor dlogits = recording({&logits}) ? empty_like(logits, logits.shape()) : Tensor();
  Tensor loss = loss_of(spec, logits, labels, dlogits);
  return record("cross_entropy", loss, {{logits, [dlogits](const Tensor& dy) {
                                           Tensor scaled = empty_like(dlogits, dlogits.shape());
                                           GRAFT_KERNEL(scaled, mul_columns, scaled.size(), 1, in<T>(dlogits),
                                                        in<T>(dy), out<T>(scaled));  // dy stays where it is
                                           return scaled;
                                         }}});
}

}  // namespace graft
