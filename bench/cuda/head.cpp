// G3, its half with the loss: a head's logits, their cross-entropy and its gradient, as a training
// step in bf16 queues them: loss and gradient are computed in f32.
#include <memory>
#include <vector>

#include "bench/cuda/timed.h"
#include "kernels/elementwise.h"
#include "kernels/softmax.h"

namespace graft::bench {
namespace {

struct Head {
  int64_t rows, classes, width;

  double flops() const { return 2.0 * double(rows * classes) * double(width); }
  int64_t logits() const { return rows * classes; }
  double bytes() const {  // of the logits: there, back, and their gradient
    return 2.0 * double(rows * width + classes * width + 3 * logits());
  }
  std::string name() const {
    return "G3/head_" + std::to_string(rows) + "x" + std::to_string(classes) + "x" +
           std::to_string(width) + "_loss/bf16/own";
  }
};

struct Arrays {
  Buffer x, w, bias, logits, gradient;  // the last is the logits'
  Buffer of_loss;  // (3, rows, classes) f32: logits, gradient, the same times the loss's own
  Buffer labels, loss;
};

std::function<void(int)> with_loss(const Head& h, int sets) {
  auto a = std::make_shared<Arrays>(
      Buffer(DType::bf16, h.rows * h.width, sets), Buffer(DType::bf16, h.classes * h.width, sets),
      Buffer(DType::f32, h.classes, 1), Buffer(DType::bf16, h.logits(), sets),
      Buffer(DType::bf16, h.logits(), sets), Buffer(DType::f32, 3 * h.logits(), 1),
      Buffer(DType::i32, h.rows, 1), Buffer(DType::f32, 1, 1));
  std::vector<int32_t> labels(size_t(h.rows));
  for (size_t i = 0; i < labels.size(); ++i) labels[i] = int32_t(int64_t(i) % h.classes);
  cuda::copy(a->labels.at(0), labels.data(), labels.size() * sizeof(int32_t), {});
  return [=](int set) {
    cuda::GemmProblem p{.math = cuda::GemmMath::bf16, .transpose_b = true};
    p.m = h.rows, p.n = h.classes, p.k = h.width;
    p.a = a->x.at(set), p.a_stride = h.width;
    p.b = a->w.at(set), p.b_stride = h.width;
    p.c = a->logits.at(set), p.c_stride = h.classes, p.c_type = DType::bf16;
    p.bias = a->bias.at<float>(0);
    cuda::gemm(p, {});
    float *logits = a->of_loss.at<float>(0), *gradient = logits + h.logits();
    float* scaled = gradient + h.logits();
    cuda::convert(h.logits(), a->logits.at<bf16>(set), logits, {});
    cuda::cross_entropy({h.rows, h.classes, a->labels.at<int32_t>(0)}, logits, gradient,
                        a->loss.at<float>(0), {});
    cuda::mul_columns(h.logits(), 1, gradient, a->loss.at<float>(0), scaled, {});
    cuda::convert(h.logits(), scaled, a->gradient.at<bf16>(set), {});
  };
}

}  // namespace

void add_heads() {
  for (int64_t rows : {32, 256})
    for (int64_t classes : {2, 10, 102, 1000})
      for (int64_t width : {512, 2048, 4096}) {
        const Head head{rows, classes, width};
        const int sets = sets_for(head.bytes());
        add({.name = head.name(),
             .flops = head.flops(),
             .bytes = head.bytes(),
             .prepare = [=] { return with_loss(head, sets); },
             .sets = sets});
      }
}

}  // namespace graft::bench
