// An array in device memory for the tests of CUDA kernels, which are the same under cusim and on a
// GPU. Under cusim it ends at a guard page, give or take 15 bytes, and is NaN at first.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "kernels/runtime.h"
#ifdef GRAFT_CUSIM
#include "tests/cusim/orders.h"
#endif

namespace graft::cuda {

template <class T>
class Array {
 public:
  // `offset`: the array begins that many elements after the block, to be misaligned.
  explicit Array(size_t size, size_t offset = 0)
      : size_(size),
        block_(static_cast<T*>(allocate((size + offset) * sizeof(T), {}))),
        data_(block_ + offset) {
    fill_bytes(block_, 0xff, (size + offset) * sizeof(T), {});
  }
  explicit Array(const std::vector<T>& values, size_t offset = 0) : Array(values.size(), offset) {
    copy(data_, values.data(), size_ * sizeof(T), {});
  }
  ~Array() { release(block_, {}); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;

  T* data() const { return data_; }
  std::vector<T> host() const {  // waits for the default stream
    std::vector<T> values(size_);
    copy(values.data(), data_, size_ * sizeof(T), {});
    return values;
  }

 private:
  size_t size_;
  T *block_, *data_;
};

// Runs a test body in every order that cusim has, or once on a GPU.
template <class Body>
void on_device(const Body& body) {
#ifdef GRAFT_CUSIM
  cusim::in_every_order(body);
#else
  if (device_count() == 0) GTEST_SKIP() << "no CUDA device";
  body();
#endif
}

// The same for what only Hopper has (compute capability 9.0).
template <class Body>
void on_hopper(const Body& body) {
  if (device_count() > 0 && device_info().major != 9) GTEST_SKIP() << "not a GPU of Hopper's kind";
  on_device(body);
}

}  // namespace graft::cuda
