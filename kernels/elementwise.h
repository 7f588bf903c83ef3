// Elementwise functions. An activation is one struct: its name, f(x) and df(x, y) with y = f(x).
// The functions compute exp and erf themselves, in plain arithmetic, so that compilers vectorise
// the loops around them and every device computes the same (about 1 ulp).
#pragma once
#include <bit>
#include <cstdint>

#include "kernels/activation.h"
#include "kernels/host_device.h"
#include "kernels/runtime.h"

namespace graft {

// e^x: x = n ln2 + r, |r| <= ln2 / 2; e^r by a minimax polynomial. Saturates at 2^-126 and 2^127.
GRAFT_HD inline float exp_f32(float x) {
  x = x < -87.3365f ? -87.3365f : x;
  x = x > 88.3762f ? 88.3762f : x;
  constexpr float kRound = 0x1.8p23f;  // adding it leaves n in the low mantissa bits
  float t = x * 1.44269504f + kRound;
  float n = t - kRound;
  float r = x - n * 0.693359375f;  // ln2 in two parts; the first product is exact
  r = r + n * 2.12194440e-4f;
  float p = 1.38145999e-3f;
  p = p * r + 8.36871564e-3f;
  p = p * r + 4.16683890e-2f;
  p = p * r + 1.66665211e-1f;
  p = p * r + 4.99999940e-1f;
  p = p * (r * r) + r + 1.0f;
  auto bits = std::bit_cast<uint32_t>(t) << 23;  // n modulo 2^9, in the exponent's place
  return p * std::bit_cast<float>(bits + 0x3f800000u);
}

// erf: x P(x^2) below 1, 1 - exp(Q(|x|)) above; both minimax, 1 in f32 from 4 on.
GRAFT_HD inline float erf_f32(float x) {
  float a = x < 0 ? -x : x;
  float s = a * a;
  float p = -5.63157781e-4f;
  p = p * s + 4.91759460e-3f;
  p = p * s - 2.67113559e-2f;
  p = p * s + 1.12801820e-1f;
  p = p * s - 3.76123279e-1f;
  p = p * s + 1.12837911f;
  float b = a > 4.0f ? 4.0f : a;
  float q = 1.85574890e-4f;
  q = q * b - 2.93961587e-3f;
  q = q * b + 2.18053516e-2f;
  q = q * b - 1.03037410e-1f;
  q = q * b - 6.38225615e-1f;
  q = q * b - 1.12704003f;
  q = q * b - 3.53708921e-4f;
  float large = 1.0f - exp_f32(q);
  large = x < 0 ? -large : large;
  return a > 1.0f ? large : x * p;
}

GRAFT_HD inline float sigmoid_f32(float x) { return 1.0f / (1.0f + exp_f32(-x)); }

struct Identity {
  static constexpr auto kind = Activation::none;
  GRAFT_HD static float f(float x) { return x; }
  GRAFT_HD static float df(float, float) { return 1.0f; }
};

struct Relu {
  static constexpr auto kind = Activation::relu;
  GRAFT_HD static float f(float x) { return x < 0 ? 0.0f : x; }  // NaN stays NaN
  GRAFT_HD static float df(float, float y) { return y > 0 ? 1.0f : 0.0f; }
};

struct Relu6 {
  static constexpr auto kind = Activation::relu6;
  GRAFT_HD static float f(float x) {
    float y = x < 0 ? 0.0f : x;
    return y > 6.0f ? 6.0f : y;
  }
  GRAFT_HD static float df(float, float y) {
    float d = y > 0 ? 1.0f : 0.0f;
    return y < 6.0f ? d : 0.0f;
  }
};

struct Sigmoid {
  static constexpr auto kind = Activation::sigmoid;
  GRAFT_HD static float f(float x) { return sigmoid_f32(x); }
  GRAFT_HD static float df(float, float y) { return y * (1.0f - y); }
};

struct Silu {
  static constexpr auto kind = Activation::silu;
  GRAFT_HD static float f(float x) { return x * sigmoid_f32(x); }
  GRAFT_HD static float df(float x, float) {
    float s = sigmoid_f32(x);
    return s * (1.0f + x * (1.0f - s));
  }
};

struct Gelu {  // x Phi(x), Phi the distribution function of the standard normal
  static constexpr auto kind = Activation::gelu;
  GRAFT_HD static float cdf(float x) { return 0.5f * (1.0f + erf_f32(x * 0.707106781f)); }
  GRAFT_HD static float f(float x) { return x * cdf(x); }
  GRAFT_HD static float df(float x, float) {
    return cdf(x) + x * 0.398942280f * exp_f32(-0.5f * x * x);
  }
};

struct Hardswish {  // x relu6(x + 3) / 6
  static constexpr auto kind = Activation::hardswish;
  GRAFT_HD static float f(float x) { return x * Relu6::f(x + 3.0f) * (1.0f / 6.0f); }
  GRAFT_HD static float df(float x, float) {
    float d = x * (1.0f / 3.0f) + 0.5f;
    d = x < -3.0f ? 0.0f : d;
    return x > 3.0f ? 1.0f : d;
  }
};

struct Hardsigmoid {  // relu6(x + 3) / 6
  static constexpr auto kind = Activation::hardsigmoid;
  GRAFT_HD static float f(float x) { return Relu6::f(x + 3.0f) * (1.0f / 6.0f); }
  GRAFT_HD static float df(float, float y) {
    float d = y > 0 ? 1.0f / 6.0f : 0.0f;
    return y < 1.0f ? d : 0.0f;
  }
};

// Calls body(Op{}) with the struct of the activation. A new activation: one struct, one line here.
template <class Body>
GRAFT_HD void with_activation(Activation a, const Body& body) {
  switch (a) {
    case Activation::none:
      return body(Identity{});
    case Activation::relu:
      return body(Relu{});
    case Activation::relu6:
      return body(Relu6{});
    case Activation::sigmoid:
      return body(Sigmoid{});
    case Activation::silu:
      return body(Silu{});
    case Activation::gelu:
      return body(Gelu{});
    case Activation::hardswish:
      return body(Hardswish{});
    case Activation::hardsigmoid:
      return body(Hardsigmoid{});
  }
}

// Keeps elements whose Philox word is at least p 2^32 and scales them by 1 / (1 - p).
// Element 64 s + 16 w + b takes word w of the block with counter (16 s + b, *index).
struct DropoutMask {
  float p;
  uint32_t key[2];
  const int64_t* index;  // where x is: work that is captured draws anew at each launch
};

namespace cpu {

// y may be the same array as an input everywhere, but not overlap it in part.
void fill(int64_t n, float value, float* y);
void add(int64_t n, const float* a, const float* b, float* y);
void mul(int64_t n, const float* a, const float* b, float* y);
void scale(int64_t n, float factor, const float* x, float* y);

// a (rows, c) with b (c), along the last dimension.
void add_columns(int64_t rows, int64_t c, const float* a, const float* b, float* y);
void mul_columns(int64_t rows, int64_t c, const float* a, const float* b, float* y);
// a (images, pixels, c) with b (images, c).
void mul_images(int64_t images, int64_t pixels, int64_t c, const float* a, const float* b, float* y);

void activate(Activation a, int64_t n, const float* x, float* y);
// dx = dy f'(x). x may be null where gradient_from_output(a), y elsewhere.
void activate_backward(Activation a, int64_t n, const float* dy, const float* x, const float* y,
                       float* dx);

void dropout(const DropoutMask& mask, int64_t n, const float* x, float* y);  // and its own gradient

}  // namespace cpu

namespace cuda {

// As above, in device memory; T and From, To are float, bf16 or f16, and arithmetic is in float.
template <class T>
void fill(int64_t n, float value, T* y, Stream stream);
template <class T>
void add(int64_t n, const T* a, const T* b, T* y, Stream stream);
template <class T>
void mul(int64_t n, const T* a, const T* b, T* y, Stream stream);
template <class T>
void scale(int64_t n, float factor, const T* x, T* y, Stream stream);

template <class T>
void add_columns(int64_t rows, int64_t c, const T* a, const T* b, T* y, Stream stream);
template <class T>
void mul_columns(int64_t rows, int64_t c, const T* a, const T* b, T* y, Stream stream);
// At most 65535 images.
template <class T>
void mul_images(int64_t images, int64_t pixels, int64_t c, const T* a, const T* b, T* y,
                Stream stream);

template <class T>
void activate(Activation a, int64_t n, const T* x, T* y, Stream stream);
template <class T>
void activate_backward(Activation a, int64_t n, const T* dy, const T* x, const T* y, T* dx,
                       Stream stream);

// The same elements are dropped as on the processor.
template <class T>
void dropout(const DropoutMask& mask, int64_t n, const T* x, T* y, Stream stream);

// To another type, rounded to nearest, ties to even.
template <class From, class To>
void convert(int64_t n, const From* x, To* y, Stream stream);

}  // namespace cuda
}  // namespace graft
