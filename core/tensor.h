// A tensor: a cheap handle on shared, contiguous storage. Copies share storage; clone() does not.
// Its values are on one device; operations work where their tensors are, and give results there.
// Activations are (N, H, W, C), convolution weights (O, H, W, I), matrices row-major.
// Mathematics is free functions in core/ops.h; this page is all a user needs besides.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/check.h"
#include "core/device.h"
#include "kernels/dtype.h"

namespace graft {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);  // product; throws when negative or over 2^62

class Tensor {
 public:
  Tensor() = default;  // undefined: holds nothing
  explicit Tensor(Shape shape, DType dtype = DType::f32, Device device = Device::cpu);  // uninitialised
  static Tensor zeros(Shape shape, DType dtype = DType::f32, Device device = Device::cpu);
  static Tensor full(Shape shape, float value);
  template <class T> static Tensor from(Shape shape, std::span<const T> values);
  static Tensor from(Shape shape, std::initializer_list<float> values);
  static Tensor made_by(Shape shape, DType dtype, std::function<void(void*)> make);  // when read

  bool defined() const { return impl_ != nullptr; }
  const Shape& shape() const;
  int64_t dim(int i) const;  // from the end when negative
  int rank() const { return int(shape().size()); }
  int64_t size() const;      // number of elements
  size_t bytes() const;
  DType dtype() const;
  Device device() const;

  // Element access checks the type and that the values are on the processor. Writing counts as a new
  // version (see version()).
  template <class T = float> const T* data() const;
  template <class T = float> T* mutable_data();
  const void* raw() const;
  void* mutable_raw();
  float item() const;          // the one element, as float, wherever it is
  uint64_t version() const;    // grows with every mutable_data() of this handle; caches compare it

  Tensor to(DType dtype) const;             // converted copy without history; itself when equal
  Tensor to(Device device) const;           // likewise
  Tensor clone() const;                     // deep copy without history
  Tensor clone(Device device) const;        // likewise, there
  Tensor detach() const;                    // same storage, no history, wants no gradient
  Tensor reshape(Shape shape) const;        // same storage; one -1 is deduced; differentiable
  Tensor rows(int64_t begin, int64_t end) const;  // same storage, first dimension [begin, end)
  void copy_from(const Tensor& source);     // same shape and type, from any device
  void clear();                             // all values 0

  // Values that can be made again cost no memory while they are put away; reading brings them back,
  // writing ends it. A tensor that is a part of a larger storage always stays.
  void can_be_made(std::function<void(void*)> make) const;
  void put_away() const;
  bool owns_storage() const;                // is no part of a larger one

  bool requires_grad() const;
  Tensor& requires_grad(bool wanted);
  const Tensor& grad() const;               // undefined before backward()
  void set_grad(Tensor grad);               // where backward() will add up; undefined clears it
  // Of a scalar; frees the graph as it walks. A factor keeps small gradients in the range of f16.
  void backward(float factor = 1) const;
  void backward(const Tensor& factor) const;  // (), where the scalar is

  // For kernels: where the values begin, on whichever device.
  const void* address() const;
  void* mutable_address();
  // This handle and its copies have the values of `source`, its storage, from now on; same shape and type.
  void rebind(const Tensor& source);

  struct Impl;                              // core/autograd.h
  const std::shared_ptr<Impl>& impl() const { return impl_; }
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<Impl> impl_;
};

// A tensor backed by a part of `arena` (flat, of its type), starting at element `offset`.
Tensor view_of(const Tensor& arena, int64_t offset, Shape shape);

template <class T> const T* Tensor::data() const {
  GRAFT_CHECK(dtype() == dtype_of<T>, "tensor: has type {}, read as {}", name_of(dtype()),
              name_of(dtype_of<T>));
  return static_cast<const T*>(raw());
}

template <class T> T* Tensor::mutable_data() {
  GRAFT_CHECK(dtype() == dtype_of<T>, "tensor: has type {}, written as {}", name_of(dtype()),
              name_of(dtype_of<T>));
  return static_cast<T*>(mutable_raw());
}

template <class T> Tensor Tensor::from(Shape shape, std::span<const T> values) {
  Tensor t(std::move(shape), dtype_of<T>);
  GRAFT_CHECK(t.size() == int64_t(values.size()), "tensor: {} values for shape {}", values.size(),
              t.shape());
  std::copy(values.begin(), values.end(), t.mutable_data<T>());
  return t;
}

}  // namespace graft
