// Attention head by head: two products by oneDNN with a softmax between them, on a matrix (tokens,
// tokens) of its own for each thread. The gradient computes that matrix again; forward keeps nothing.
// Its speed has not been measured apart.
#include "kernels/attention.h"

#include <algorithm>
#include <vector>

#include "kernels/elementwise.h"
#include "kernels/gemm.h"
#include "kernels/parallel.h"
#include "kernels/reduce.h"
#include "kernels/softmax.h"

namespace graft::cpu {
namespace {

// One head of one image: strided rows of qkv and of the result.
struct Head {
  const AttentionProblem& p;
  int64_t image, head;

  int64_t qkv_row() const { return 3 * p.heads * p.width; }
  int64_t out_row() const { return p.heads * p.width; }
  int64_t out_at() const { return image * p.tokens * out_row() + head * p.width; }
  int64_t at(int64_t part) const {  // 0 queries, 1 keys, 2 values
    return image * p.tokens * qkv_row() + (part * p.heads + head) * p.width;
  }
  Rows take(const float* qkv, int64_t part) const { return {qkv + at(part), qkv_row()}; }

  // softmax(...) of the problem, (T,T).
  void shares(const float* qkv, float* y) const {
    const int64_t t = p.tokens, square = t * t;
    const float* bias = p.bias ? p.bias + head * square : nullptr;
    const float* mask = p.mask ? p.mask + image % p.masks * square : nullptr;
    if (bias && mask) add(square, bias, mask, y);
    else if (bias || mask) std::copy_n(bias ? bias : mask, square, y);
    gemm(false, true, t, t, p.width, p.scale, take(qkv, 0), take(qkv, 1), bias || mask ? 1 : 0, y, t);
    softmax(t, t, y, y);
  }
};

}  // namespace

void attention(const AttentionProblem& p, const float* qkv, float* y) {
  const int64_t t = p.tokens;
  parallel_for(p.images * p.heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> shares(size_t(t * t), 0.0f);
    for (int64_t i = begin; i < end; ++i) {
      const Head h{p, i / p.heads, i % p.heads};
      h.shares(qkv, shares.data());
      gemm(false, false, t, p.width, t, 1, {shares.data(), t}, h.take(qkv, 2), 0, y + h.out_at(),
           h.out_row());
    }
  });
}

// A head's bias is the same in every image: its gradient is summed in a fixed number of parts.
void attention_backward(const AttentionProblem& p, const float* qkv, const float* dy,
                        const AttentionGradients& out) {
  const int64_t t = p.tokens, d = p.width, square = t * t, chunks = chunk_count(p.images, 1);
  std::vector<float> sums(out.dbias ? size_t(chunks * p.heads * square) : 0);
  auto run = [&](const Head& h, float* shares, float* dshares, float* sum) {
    const Rows dout{dy + h.out_at(), h.out_row()};
    h.shares(qkv, shares);
    gemm(false, true, t, t, d, 1, dout, h.take(qkv, 2), 0, dshares, t);
    auto put = [&](bool transposed, const float* a, float alpha, Rows b, int64_t part) {
      gemm(transposed, false, t, d, t, alpha, {a, t}, b, 0, out.dqkv + h.at(part), h.qkv_row());
    };
    if (out.dqkv) put(true, shares, 1, dout, 2);
    softmax_backward(t, t, shares, dshares, dshares);
    if (out.dbias) add(square, dshares, sum, sum);
    if (!out.dqkv) return;
    put(false, dshares, p.scale, h.take(qkv, 1), 0);
    put(true, dshares, p.scale, h.take(qkv, 0), 1);
  };
  parallel_for(chunks * p.heads, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> shares(size_t(square), 0.0f), dshares(size_t(square), 0.0f);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t chunk = i / p.heads, head = i % p.heads;
      float* sum = out.dbias ? sums.data() + i * square : nullptr;
      const int64_t last = p.images * (chunk + 1) / chunks;
      for (int64_t image = p.images * chunk / chunks; image < last; ++image)
        run({p, image, head}, shares.data(), dshares.data(), sum);
    }
  });
  if (out.dbias) sum_rows(chunks, p.heads * square, sums.data(), out.dbias);
}

}  // namespace graft::cpu
