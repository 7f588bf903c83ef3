// Where the values of tensors are: on the processor, or on a CUDA device where this build and this
// machine have one. One device, the calling thread's, and one stream of work on it: kernels run in
// the order of the calls, and only what reads values on the processor waits for them.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace graft {

enum class Device : uint8_t { cpu, cuda };

constexpr const char* name_of(Device device) { return device == Device::cpu ? "cpu" : "cuda"; }

bool built_with_cuda();
// Why no CUDA device can be used: "no CUDA device or driver was found". Empty where one can.
std::string why_no_cuda();
std::string name_of_cuda_device();  // "NVIDIA H100 80GB HBM3"
size_t cuda_device_bytes();         // of its memory; 0 without a device
size_t peak_cuda_bytes();           // most that tensors held there at one time; 0 without a device

// Whether products of f32 tensors on a CUDA device may round their factors to 10 bits of mantissa
// (tf32), which runs on tensor cores. Off at first; holds for every thread.
void allow_tf32(bool allowed);
bool tf32_allowed();
// Whether convolutions on the processor with weights that a trunk keeps (FrozenFilter::may_round)
// may round their factors to bf16, where it has such products; sums and maps stay f32. Likewise.
void allow_bf16(bool allowed);
bool bf16_allowed();

// While one lives neither is allowed: for values that other machines are to compute again.
class ExactProducts {
 public:
  ExactProducts() : tf32_(tf32_allowed()), bf16_(bf16_allowed()) {
    allow_tf32(false), allow_bf16(false);
  }
  ~ExactProducts() { allow_tf32(tf32_), allow_bf16(bf16_); }
  ExactProducts(const ExactProducts&) = delete;

 private:
  bool tf32_, bf16_;
};

// Work on a CUDA device beside the stream of all other work: what the next batch needs, while this one
// is computed. One thread uses a lane and what was made in it.
class Lane {
 public:
  Lane();
  ~Lane();  // joins
  Lane(const Lane&) = delete;

  // What `work` does with tensors is queued in the lane, behind all that this thread has queued so
  // far; when it throws, the lane is joined.
  void run(const std::function<void()>& work);
  void join();  // what this thread queues from now on comes after the work in the lane

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Memory of a device, uninitialised, null for 0 bytes; copies between any two.
void* allocate(Device device, size_t bytes);
void release(Device device, void* block, size_t bytes) noexcept;
void copy_bytes(Device to_device, void* to, Device from_device, const void* from, size_t bytes);
void clear_bytes(Device device, void* to, size_t bytes);

}  // namespace graft
