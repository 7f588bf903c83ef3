#include <cmath>

#include "core/autograd.h"
#include "core/ops.h"
#include "core/trace.h"
#include "kernels/gemm.h"
#include "kernels/layout.h"
#include "kernels/softmax.h"

namespace graft {
namespace {

// One head of one image: its queries, keys and values (T,D) are columns of qkv (N,T,3,heads,D).
struct Heads {
  int64_t images, tokens, heads, width;  // width: channels of a head
  int64_t row() const { return 3 * heads * width; }
  float scale() const { return 1.0f / std::sqrt(float(width)); }

  // part: 0 queries, 1 keys, 2 values.
  int64_t at(int64_t image, int64_t head, int part) const {
    return image * tokens * row() + (part * heads + head) * width;
  }
  Tensor take(const Tensor& qkv, int64_t image, int64_t head, int part) const {
    Tensor y({tokens, width});
    cpu::copy_rows(1, tokens, width, qkv.data() + at(image, head, part), {0, row()},
                   y.mutable_data(), {0, width});
    return y;
  }
  void put(const Tensor& from, int64_t image, int64_t head, int part, Tensor& qkv) const {
    cpu::copy_rows(1, tokens, width, from.data(), {0, width},
                   qkv.mutable_data() + at(image, head, part), {0, row()});
  }
  // The same for the result (N,T,heads,D).
  int64_t out_row() const { return heads * width; }
  int64_t out_at(int64_t image, int64_t head) const {
    return image * tokens * out_row() + head * width;
  }
};

// softmax(q k^T / sqrt(D)), (T,T).
Tensor shares(const Heads& h, const Tensor& q, const Tensor& k) {
  Tensor p({h.tokens, h.tokens});
  cpu::gemm(false, true, h.tokens, h.tokens, h.width, h.scale(), q.data(), k.data(), 0,
            p.mutable_data());
  cpu::softmax(h.tokens, h.tokens, p.data(), p.mutable_data());
  return p;
}

// The shares are computed again: keeping them would take T^2 numbers for every head and image.
Tensor gradient(const Heads& h, const Tensor& qkv, const Tensor& dy) {
  const int64_t t = h.tokens, d = h.width;
  Tensor dqkv(qkv.shape()), dout({t, d}), dp({t, t}), dq({t, d}), dk({t, d}), dv({t, d});
  for (int64_t image = 0; image < h.images; ++image)
    for (int64_t head = 0; head < h.heads; ++head) {
      Tensor q = h.take(qkv, image, head, 0), k = h.take(qkv, image, head, 1),
             v = h.take(qkv, image, head, 2), p = shares(h, q, k);
      cpu::copy_rows(1, t, d, dy.data() + h.out_at(image, head), {0, h.out_row()},
                     dout.mutable_data(), {0, d});
      cpu::gemm(true, false, t, d, t, 1, p.data(), dout.data(), 0, dv.mutable_data());
      cpu::gemm(false, true, t, t, d, 1, dout.data(), v.data(), 0, dp.mutable_data());
      cpu::softmax_backward(t, t, p.data(), dp.data(), dp.mutable_data());
      cpu::gemm(false, false, t, d, t, h.scale(), dp.data(), k.data(), 0, dq.mutable_data());
      cpu::gemm(true, false, t, d, t, h.scale(), dp.data(), q.data(), 0, dk.mutable_data());
      h.put(dq, image, head, 0, dqkv);
      h.put(dk, image, head, 1, dqkv);
      h.put(dv, image, head, 2, dqkv);
    }
  return dqkv;
}

}  // namespace

Tensor attention(const Tensor& qkv, int heads) {
  GRAFT_CHECK(qkv.rank() == 3 && heads > 0 && qkv.dim(2) > 0 && qkv.dim(2) % (3 * heads) == 0,
              "attention: queries, keys and values {} must be (N,T,3C), C in {} heads", qkv.shape(),
              heads);
  const Heads h{qkv.dim(0), qkv.dim(1), heads, qkv.dim(2) / (3 * heads)};
  if (tracing({&qkv})) return traced("attention", {qkv}, {h.images, h.tokens, h.out_row()}, heads);
  Tensor y({h.images, h.tokens, h.out_row()}), mixed({h.tokens, h.width});
  for (int64_t image = 0; image < h.images; ++image)
    for (int64_t head = 0; head < h.heads; ++head) {
      Tensor p = shares(h, h.take(qkv, image, head, 0), h.take(qkv, image, head, 1));
      Tensor v = h.take(qkv, image, head, 2);
      cpu::gemm(false, false, h.tokens, h.width, h.tokens, 1, p.data(), v.data(), 0,
                mixed.mutable_data());
      cpu::copy_rows(1, h.tokens, h.width, mixed.data(), {0, h.width},
                     y.mutable_data() + h.out_at(image, head), {0, h.out_row()});
    }
  return record("attention", y, {{qkv, [h, qkv = qkv.detach()](const Tensor& dy) {
                                    return gradient(h, qkv, dy);
                                  }}});
}

}  // namespace graft
