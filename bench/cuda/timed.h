// One kernel to be timed on a GPU, and how: by events around a row of launches, on buffers that
// take turns so that none is still in the L2 cache, filled with N(0,1), for power depends on the
// values. What runs is graft::cuda's kernel ("own") or NVIDIA's library ("vendor");
// bench/gpu_table.py sets one against the other.
#pragma once
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/gemm.h"
#include "kernels/runtime.h"

namespace graft::bench {

// Device memory in `sets` copies of `size` elements; more than three times the L2 cache in all.
class Buffer {
 public:
  Buffer(DType dtype, int64_t size, int sets);  // N(0,1), from a fixed seed
  ~Buffer() { cuda::release(block_, {}); }
  Buffer(Buffer&& other) : bytes_(other.bytes_), block_(std::exchange(other.block_, nullptr)) {}
  void* at(int set) const { return static_cast<char*>(block_) + size_t(set) * bytes_; }
  template <class T>
  T* at(int set) const {
    return static_cast<T*>(at(set));
  }

 private:
  size_t bytes_;  // of a set, a multiple of 256
  void* block_;
};

// How many sets of so many bytes each go round.
int sets_for(double bytes);

struct Timed {
  std::string name;                            // "C1/resnet50_3x3_64_56/bf16/own"
  double flops = 0, bytes = 0;                 // of one run; every array is read or written once
  cuda::GemmMath math = cuda::GemmMath::bf16;  // which of the device's peaks is the limit
  // Makes the buffers; -> what runs on one set of them.
  std::function<std::function<void(int set)>()> prepare;
  int sets = 1;
};

// Shows TFLOP/s, GB/s and `limit`, the share of the time that arithmetic or memory needs at the
// least, by the specification of the device.
void add(Timed timed);

// Those of each file, to be registered from main.
void add_gemm();
void add_heads();
void add_conv2d();
void add_norm();
void add_optimizer();

}  // namespace graft::bench
