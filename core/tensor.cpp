#include "core/tensor.h"

#include <cstring>
#include <limits>

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/trace.h"
#include "kernels/elementwise.h"
#include "kernels/memory.h"

namespace graft {
namespace {

template <class From, class To> void convert(const Tensor& from, Tensor& to) {
  const From* source = from.data<From>();
  To* target = to.mutable_data<To>();
  for (int64_t i = 0, n = from.size(); i < n; ++i) {
    if constexpr (std::is_same_v<From, bf16> || std::is_same_v<From, f16>)
      target[i] = static_cast<To>(static_cast<float>(source[i]));
    else if constexpr (std::is_same_v<To, bf16> || std::is_same_v<To, f16>)
      target[i] = To(static_cast<float>(source[i]));
    else
      target[i] = static_cast<To>(source[i]);
  }
}

// Calls f with a value of the element type of t.
template <class F> void dispatch(DType t, F f) {
  switch (t) {
    case DType::f32: return f(float{});
    case DType::bf16: return f(bf16{});
    case DType::f16: return f(f16{});
    case DType::u8: return f(uint8_t{});
    case DType::i32: return f(int32_t{});
    case DType::i64: return f(int64_t{});
  }
}

void convert_on_device([[maybe_unused]] const Tensor& from, [[maybe_unused]] Tensor& to) {
  const KernelScope scope(Device::cuda);
  if constexpr (kWithCuda) {
    with_float_type(from.dtype(), [&]<class From>() {
      with_float_type(to.dtype(), [&]<class To>() {
        if constexpr (!std::is_same_v<From, To>)
          cuda::convert(from.size(), in<From>(from), out<To>(to), stream());
      });
    });
  }
}

void check_on_cpu(const Tensor& t) {
  GRAFT_CHECK(t.device() == Device::cpu, "tensor: {} is on {}; its values can be read on the processor "
              "after to(Device::cpu)", t.shape(), name_of(t.device()));
}

std::shared_ptr<Tensor::Impl> share(const Tensor& t) {
  auto impl = std::make_shared<Tensor::Impl>();
  impl->shape = t.shape();
  impl->dtype = t.dtype();
  impl->storage = t.impl()->storage;
  impl->offset = t.impl()->offset;
  impl->version = t.impl()->version;
  return impl;
}

}  // namespace

Storage::~Storage() { release(device, data_, bytes); }

void* Storage::values() {
  if (data_) return data_;
  void* data = allocate(device, bytes);
  try {
    if (make_) make_(data);
  } catch (...) {
    release(device, data, bytes);
    throw;
  }
  return data_ = data;
}

void* Storage::changing_values() {
  void* data = values();
  make_ = nullptr;
  known.reset();
  return data;
}

void Storage::put_away() {
  if (!make_ || !data_) return;
  cpu::give_back(data_, bytes);
  data_ = nullptr;
}

int64_t element_count(const Shape& shape) {
  int64_t n = 1;
  for (int64_t d : shape) {
    bool fits = d >= 0 && !__builtin_mul_overflow(n, d, &n) && n <= (int64_t(1) << 58);
    GRAFT_CHECK(fits, "tensor: shape {} is negative somewhere or too large", shape);
  }
  return n;
}

Tensor::Tensor(Shape shape, DType dtype, Device device) : impl_(std::make_shared<Impl>()) {
  size_t bytes = size_t(element_count(shape)) * size_of(dtype);
  impl_->shape = std::move(shape);
  impl_->dtype = dtype;
  impl_->storage = std::make_shared<Storage>(bytes, device);
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t(std::move(shape), dtype, device);
  t.clear();
  return t;
}

Tensor Tensor::made_by(Shape shape, DType dtype, std::function<void(void*)> make) {
  Tensor t(std::move(shape), dtype);
  t.impl_->storage->can_be_made(std::move(make));
  return t;
}

void Tensor::can_be_made(std::function<void(void*)> make) const {
  if (owns_storage() && make) impl_->storage->can_be_made(std::move(make));
}

bool Tensor::owns_storage() const { return bytes() == impl_->storage->bytes; }

void Tensor::put_away() const { (shape(), impl_)->storage->put_away(); }

Tensor Tensor::full(Shape shape, float value) {
  Tensor t(std::move(shape));
  std::fill_n(t.mutable_data(), t.size(), value);
  return t;
}

Tensor Tensor::from(Shape shape, std::initializer_list<float> values) {
  return from<float>(std::move(shape), std::span<const float>(values.begin(), values.size()));
}

const Shape& Tensor::shape() const {
  GRAFT_CHECK(defined(), "tensor: used before it was given a value");
  return impl_->shape;
}

int64_t Tensor::dim(int i) const {
  int at = i < 0 ? i + rank() : i;
  GRAFT_CHECK(at >= 0 && at < rank(), "tensor: dimension {} of shape {}", i, shape());
  return impl_->shape[at];
}

int64_t Tensor::size() const { return element_count(shape()); }
size_t Tensor::bytes() const { return size_t(size()) * size_of(dtype()); }
DType Tensor::dtype() const { return shape(), impl_->dtype; }
Device Tensor::device() const { return shape(), impl_->storage->device; }
uint64_t Tensor::version() const { return shape(), impl_->version; }

const void* Tensor::address() const {
  return shape(), static_cast<const char*>(impl_->storage->values()) + impl_->offset;
}

void* Tensor::mutable_address() {
  ++(shape(), impl_)->version;
  return static_cast<char*>(impl_->storage->changing_values()) + impl_->offset;
}

const void* Tensor::raw() const {
  check_on_cpu(*this);
  return address();
}

void* Tensor::mutable_raw() {
  check_on_cpu(*this);
  return mutable_address();
}

float Tensor::item() const {
  GRAFT_CHECK(size() == 1, "item: shape {} has {} elements, not one", shape(), size());
  return to(Device::cpu).to(DType::f32).data()[0];
}

Tensor Tensor::to(Device device) const {
  return device == this->device() ? *this : clone(device);
}

Tensor Tensor::to(DType dtype) const {
  if (dtype == this->dtype()) return *this;
  Tensor result(shape(), dtype, device());
  if (device() == Device::cuda) return convert_on_device(*this, result), result;
  dispatch(this->dtype(), [&](auto from) {
    dispatch(dtype, [&](auto to) { convert<decltype(from), decltype(to)>(*this, result); });
  });
  return result;
}

Tensor Tensor::clone() const { return clone(device()); }

Tensor Tensor::clone(Device device) const {
  Tensor copy(shape(), dtype(), device);
  copy.copy_from(*this);
  return copy;
}

void Tensor::rebind(const Tensor& source) {
  GRAFT_CHECK(shape() == source.shape() && dtype() == source.dtype(), "rebind: {} {} to {} {}",
              name_of(dtype()), shape(), name_of(source.dtype()), source.shape());
  impl_->storage = source.impl_->storage;
  impl_->offset = source.impl_->offset;
  ++impl_->version;
}

Tensor Tensor::detach() const { return Tensor(share(*this)); }

Tensor Tensor::reshape(Shape shape) const {
  int64_t known = 1;
  int64_t* deduced = nullptr;
  for (int64_t& d : shape) {
    if (d == -1 && !deduced) deduced = &d;
    else known *= d;
  }
  if (deduced) *deduced = known ? size() / known : 0;
  GRAFT_CHECK(element_count(shape) == size(), "reshape: {} elements of {} do not fill {}", size(),
              this->shape(), shape);
  if (tracing({this})) return traced("reshape", {*this}, std::move(shape));
  auto impl = share(*this);
  impl->shape = std::move(shape);
  return record("reshape", Tensor(impl),
                {{*this, [old = this->shape()](const Tensor& dy) { return dy.reshape(old); }}});
}

Tensor Tensor::rows(int64_t begin, int64_t end) const {
  GRAFT_CHECK(rank() > 0 && 0 <= begin && begin <= end && end <= dim(0),
              "rows: [{}, {}) of shape {}", begin, end, shape());
  auto impl = share(*this);
  impl->shape[0] = end - begin;
  impl->offset += dim(0) ? bytes() / size_t(dim(0)) * size_t(begin) : 0;
  return Tensor(impl);
}

void Tensor::copy_from(const Tensor& source) {
  GRAFT_CHECK(shape() == source.shape() && dtype() == source.dtype(),
              "copy_from: {} {} into {} {}", name_of(source.dtype()), source.shape(),
              name_of(dtype()), shape());
  copy_bytes(device(), mutable_address(), source.device(), source.address(), bytes());
}

void Tensor::clear() { clear_bytes(device(), mutable_address(), bytes()); }

bool Tensor::requires_grad() const { return impl_ && impl_->requires_grad; }

Tensor& Tensor::requires_grad(bool wanted) {
  GRAFT_CHECK(!wanted || dtype() == DType::f32, "requires_grad: only f32 tensors, this is {}",
              name_of(dtype()));
  (shape(), impl_)->requires_grad = wanted;
  return *this;
}

const Tensor& Tensor::grad() const {
  static const Tensor none;
  const auto& history = (shape(), impl_)->history;
  return history ? history->grad : none;
}

void Tensor::set_grad(Tensor grad) {
  GRAFT_CHECK(!grad.defined() || grad.shape() == shape(), "set_grad: shapes {} and {}",
              grad.defined() ? grad.shape() : Shape{}, shape());
  History& history = *history_of(*this);
  history.grad_in_place = grad.defined();
  history.grad = std::move(grad);
}

Tensor view_of(const Tensor& arena, int64_t offset, Shape shape) {
  auto impl = share(arena);
  impl->offset += size_t(offset) * size_of(arena.dtype());
  impl->shape = std::move(shape);
  Tensor view(impl);
  GRAFT_CHECK(offset >= 0 && offset + view.size() <= arena.size(),
              "view_of: {} elements at {} pass the end of {}", view.size(), offset, arena.size());
  return view;
}

}  // namespace graft
