// Elementwise functions, generated from the structs of kernels/elementwise.h.
//
// A thread does 16 bytes of an array: one load for each input, one store. With 2048 threads on a
// multiprocessor 32 kB are on their way for each input, more than the memory's latency asks for.
// Bytes moved: each array once, which is the limit (n 4 (inputs + 1) bytes for f32).
// Not yet run on a GPU.
#include "kernels/elementwise.h"

#include "kernels/cuda/columns.cuh"
#include "kernels/cuda/pack.cuh"

namespace graft::cuda {
namespace {

struct Sum {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Product {
  __device__ float operator()(float a, float b) const { return a * b; }
};
struct Scale {
  float factor;
  __device__ float operator()(float x) const { return factor * x; }
};
struct Same {
  __device__ float operator()(float x) const { return x; }
};
template <class Op>
struct Forward {
  __device__ float operator()(float x) const { return Op::f(x); }
};
template <class Op>  // dy, and x or y, whichever the gradient follows from
struct Backward {
  __device__ float operator()(float dy, float known) const {
    if constexpr (gradient_from_output(Op::kind))
      return dy * Op::df(0.0f, known);
    else
      return dy * Op::df(known, 0.0f);
  }
};

template <class From, class To, class Op>
struct Unary {
  const From* x;  // (n)
  To* y;          // (n)
  Op op;

  template <int kWidth>
  __device__ void run(int64_t i) const {
    float v[kWidth];
    load(v, x + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = op(v[j]);
    store(y + i, v);
  }
};

template <class T, class Op>
struct Binary {
  const T *a, *b;  // (n)
  T* y;            // (n)
  Op op;

  template <int kWidth>
  __device__ void run(int64_t i) const {
    float v[kWidth], w[kWidth];
    load(v, a + i);
    load(w, b + i);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = op(v[j], w[j]);
    store(y + i, v);
  }
};

template <class T>
struct Fill {
  float value;
  T* y;  // (n)

  template <int kWidth>
  __device__ void run(int64_t i) const {
    float v[kWidth];
#pragma unroll
    for (int j = 0; j < kWidth; ++j) v[j] = value;
    store(y + i, v);
  }
};

template <class T, class Op>
struct BinaryColumns {
  const T *a, *b;  // (images, rows, c), (images, c)
  T* y;            // (images, rows, c)
  int64_t c;
  Op op;

  template <int kWidth>
  struct Columns {
    const BinaryColumns& f;
    float w[kWidth];

    __device__ Columns(const BinaryColumns& f, int64_t channel) : f(f) {
      load(w, f.b + blockIdx.z * f.c + channel);
    }
    __device__ void run(int64_t, int64_t i) {
      float v[kWidth];
      load(v, f.a + i);
#pragma unroll
      for (int j = 0; j < kWidth; ++j) v[j] = f.op(v[j], w[j]);
      store(f.y + i, v);
    }
  };
};

template <class T, class Op>
void binary(int64_t n, const T* a, const T* b, T* y, Op op, Stream stream) {
  for_each_element<kPack<T>>(n, elements_past_boundary(a, b, y), Binary<T, Op>{a, b, y, op},
                             stream);
}

template <class From, class To, class Op>
void unary(int64_t n, const From* x, To* y, Op op, Stream stream) {
  constexpr int kWidth = std::max(kPack<From>, kPack<To>);
  for_each_element<kWidth>(n, elements_past_boundary(x, y), Unary<From, To, Op>{x, y, op},
                           stream);
}

template <class T, class Op>
void columns(int64_t images, int64_t rows, int64_t c, const T* a, const T* b, T* y, Op op,
             Stream stream) {
  for_each_column<kPack<T>>(rows, c, aligned({a, b, y}), BinaryColumns<T, Op>{a, b, y, c, op},
                            stream, images);
}

}  // namespace

template <class T>
void fill(int64_t n, float value, T* y, Stream stream) {
  for_each_element<kPack<T>>(n, elements_past_boundary(y), Fill<T>{value, y}, stream);
}

template <class T>
void add(int64_t n, const T* a, const T* b, T* y, Stream stream) {
  binary(n, a, b, y, Sum{}, stream);
}

template <class T>
void mul(int64_t n, const T* a, const T* b, T* y, Stream stream) {
  binary(n, a, b, y, Product{}, stream);
}

template <class T>
void scale(int64_t n, float factor, const T* x, T* y, Stream stream) {
  unary(n, x, y, Scale{factor}, stream);
}

template <class T>
void add_columns(int64_t rows, int64_t c, const T* a, const T* b, T* y, Stream stream) {
  columns(1, rows, c, a, b, y, Sum{}, stream);
}

template <class T>
void mul_columns(int64_t rows, int64_t c, const T* a, const T* b, T* y, Stream stream) {
  columns(1, rows, c, a, b, y, Product{}, stream);
}

template <class T>
void mul_images(int64_t images, int64_t pixels, int64_t c, const T* a, const T* b, T* y,
                Stream stream) {
  columns(images, pixels, c, a, b, y, Product{}, stream);
}

template <class T>
void activate(Activation a, int64_t n, const T* x, T* y, Stream stream) {
  with_activation(a, [&]<class Op>(Op) { unary(n, x, y, Forward<Op>{}, stream); });
}

template <class T>
void activate_backward(Activation a, int64_t n, const T* dy, const T* x, const T* y, T* dx,
                       Stream stream) {
  with_activation(a, [&]<class Op>(Op) {
    if constexpr (Op::kind == Activation::none)
      unary(n, dy, dx, Same{}, stream);
    else
      binary(n, dy, gradient_from_output(Op::kind) ? y : x, dx, Backward<Op>{}, stream);
  });
}

template <class From, class To>
void convert(int64_t n, const From* x, To* y, Stream stream) {
  unary(n, x, y, Same{}, stream);
}

#define GRAFT_ELEMENTWISE(T)                                                                     \
  template void fill(int64_t, float, T*, Stream);                                                \
  template void add(int64_t, const T*, const T*, T*, Stream);                                    \
  template void mul(int64_t, const T*, const T*, T*, Stream);                                    \
  template void scale(int64_t, float, const T*, T*, Stream);                                     \
  template void add_columns(int64_t, int64_t, const T*, const T*, T*, Stream);                   \
  template void mul_columns(int64_t, int64_t, const T*, const T*, T*, Stream);                   \
  template void mul_images(int64_t, int64_t, int64_t, const T*, const T*, T*, Stream);            \
  template void activate(Activation, int64_t, const T*, T*, Stream);                             \
  template void activate_backward(Activation, int64_t, const T*, const T*, const T*, T*, Stream); \
  template void convert(int64_t, const T*, float*, Stream);                                      \
  template void convert(int64_t, const T*, bf16*, Stream);                                       \
  template void convert(int64_t, const T*, f16*, Stream);
GRAFT_FOR_FLOATS(GRAFT_ELEMENTWISE)
#undef GRAFT_ELEMENTWISE

}  // namespace graft::cuda
