#include "kernels/softmax.h"

#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/elementwise.h"

namespace graft {

Tensor softmax(const Tensor& logits) {
  GRAFT_CHECK(logits.rank() >= 1 && logits.dim(-1) > 0, "softmax: shape {} has no classes",
              logits.shape());
  if (tracing({&logits})) return traced("softmax", {logits}, logits.shape());
  const int64_t classes = logits.dim(-1), rows = logits.size() / classes;
  Tensor y(logits.shape());
  cpu::softmax(rows, classes, logits.data(), y.mutable_data());
  return record("softmax", y, {{logits, [=, y = y.detach()](const Tensor& dy) {
                                  Tensor dx(dy.shape());
                                  cpu::softmax_backward(rows, classes, y.data(), dy.data(),
                                                        dx.mutable_data());
                                  return dx;
                                }}});
}

namespace {

void check_labels(const Tensor& logits, const Tensor& labels, const CrossEntropySpec& spec) {
  GRAFT_CHECK(logits.rank() == 2 && labels.shape() == Shape{logits.dim(0)} && logits.dim(0) > 0,
              "cross_entropy: logits {} and labels {} must be (N,C) and (N)", logits.shape(),
              labels.shape());
  const int64_t classes = logits.dim(1);
  GRAFT_CHECK(spec.class_weights.empty() || int64_t(spec.class_weights.size()) == classes,
              "cross_entropy: {} class weights for {} classes", spec.class_weights.size(), classes);
  GRAFT_CHECK(spec.label_smoothing >= 0 && spec.label_smoothing <= 1,
              "cross_entropy: label smoothing {} is not in [0, 1]", spec.label_smoothing);
  const int32_t* label = labels.data<int32_t>();
  for (int64_t row = 0; row < labels.size(); ++row)
    GRAFT_CHECK(label[row] >= 0 && label[row] < classes,
                "cross_entropy: label {} of row {} is not in [0, {})", label[row], row, classes);
}

}  // namespace

// The gradient is as cheap as the loss and smaller than what it would need, so it comes at once.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropySpec& spec) {
  check_labels(logits, labels, spec);
  const float* weights = spec.class_weights.empty() ? nullptr : spec.class_weights.data();
  CrossEntropyProblem p{logits.dim(0), logits.dim(1), labels.data<int32_t>(), weights,
                        spec.label_smoothing};
  Tensor dlogits = recording({&logits}) ? Tensor(logits.shape()) : Tensor();
  float loss =
      cpu::cross_entropy(p, logits.data(), dlogits.defined() ? dlogits.mutable_data() : nullptr);
  return record("cross_entropy", Tensor::full({}, loss),
                {{logits, [dlogits](const Tensor& dy) {
                    if (dy.item() == 1.0f) return dlogits;
                    Tensor scaled(dlogits.shape());
                    cpu::scale(scaled.size(), dy.item(), dlogits.data(), scaled.mutable_data());
                    return scaled;
                  }}});
}

}  // namespace graft
