// How operations reach kernels: the same call for tensors on the processor and on a CUDA device.
//   GRAFT_KERNEL(y, activate, a, y.size(), in<T>(x), out<T>(y));
// is cpu::activate(...) with T = float, or cuda::activate(..., stream) with T the element type of
// y. For core and layers alone; a user of the library needs core/ops.h.
#pragma once
#include "core/tensor.h"
#include "kernels/gemm.h"
#include "kernels/runtime.h"

namespace graft {

// Statements that call graft::cuda by name belong under `if constexpr (kWithCuda)`.
#ifdef GRAFT_WITH_CUDA
inline constexpr bool kWithCuda = true;
#else
inline constexpr bool kWithCuda = false;
#endif

// Where the kernel that is being called runs: in() and out() refuse tensors that are elsewhere.
class KernelScope {
 public:
  explicit KernelScope(Device device);
  ~KernelScope();
  KernelScope(const KernelScope&) = delete;

 private:
  Device before_;
};

const void* address(const Tensor& t, DType dtype);  // checked; null where t is undefined
void* mutable_address(Tensor& t, DType dtype);

template <class T>
const T* in(const Tensor& t) {
  return static_cast<const T*>(address(t, dtype_of<T>));
}
template <class T>
T* out(Tensor& t) {
  return static_cast<T*>(mutable_address(t, dtype_of<T>));
}

// Uninitialised, with the type and the device of `like`, and with its device alone.
inline Tensor empty_like(const Tensor& like, Shape shape) {
  return Tensor(std::move(shape), like.dtype(), like.device());
}
inline Tensor empty_f32(const Tensor& like, Shape shape) {
  return Tensor(std::move(shape), DType::f32, like.device());
}

cuda::Stream stream();  // of the calling thread's work: the default one, but within a Lane

// How products of such elements are computed on a CUDA device.
cuda::GemmMath math_of(DType dtype);

// Calls body.operator()<T>() with the type of floating-point elements.
template <class Body>
void with_float_type(DType dtype, const Body& body) {
  switch (dtype) {
    case DType::f32:
      return body.template operator()<float>();
    case DType::bf16:
      return body.template operator()<bf16>();
    case DType::f16:
      return body.template operator()<f16>();
    default:
      fail(Fault::data, "kernel: elements of type {} where real numbers are needed",
           name_of(dtype));
  }
}

}  // namespace graft

#define GRAFT_KERNEL(like, name, ...)                             \
  do {                                                            \
    const ::graft::KernelScope scope((like).device());            \
    if constexpr (::graft::kWithCuda) {                           \
      if ((like).device() == ::graft::Device::cuda) {             \
        ::graft::with_float_type((like).dtype(), [&]<class T>() { \
          ::graft::cuda::name(__VA_ARGS__, ::graft::stream());    \
        });                                                       \
        break;                                                    \
      }                                                           \
    }                                                             \
    using T [[maybe_unused]] = float;                             \
    ::graft::cpu::name(__VA_ARGS__);                              \
  } while (0)
