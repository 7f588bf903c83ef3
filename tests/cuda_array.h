// An array in device memory for the tests of CUDA kernels, which are the same under cusim and on a
// GPU. Under cusim it ends at a guard page, give or take 15 bytes, and is NaN at first.
#pragma once
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <vector>

#include "kernels/runtime.h"

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

// Runs a test body in every order that cusim has (tests/cusim/on_device.cpp), or once on a GPU
// (tests/cuda_on_device.cpp): the rest of a test is compiled once for both.
void on_device(const std::function<void()>& body);

// The same for what only Hopper has (compute capability 9.0).
inline void on_hopper(const std::function<void()>& body) {
  if (device_count() > 0 && device_info().major != 9) GTEST_SKIP() << "not a GPU of Hopper's kind";
  on_device(body);
}

}  // namespace graft::cuda
