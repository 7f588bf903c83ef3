#include "core/device.h"

#include <atomic>
#include <cstring>

#include "core/check.h"
#include "core/dispatch.h"
#include "core/staging.h"
#include "kernels/driver.h"
#include "kernels/memory.h"

namespace graft {
namespace {

constexpr int kOldest = 8;  // compute capability: what the kernels are compiled for at the least

std::atomic<bool> tf32{false}, bf16_factors{false};
thread_local Device kernels_on = Device::cpu;
thread_local cuda::Stream current;

[[noreturn]] void refuse_cuda() { fail(Fault::unavailable, "device cuda: {}", why_no_cuda()); }

std::string why_no_device() {
  cuda::DriverAnswer answer;
  if constexpr (kWithCuda) answer = cuda::ask_driver();
  if (answer.too_old)
    return fmt::format("the NVIDIA driver is too old, update it: it is of CUDA {}.{}, and {} is needed",
                       answer.driver / 1000, answer.driver % 1000 / 10, answer.built_with / 1000);
  if (!answer.failure.empty())
    return fmt::format("the NVIDIA driver does not work, see what nvidia-smi says: {}", answer.failure);
  return "no CUDA device or driver was found";
}

// Of a device that is there, and new enough.
std::string why_no_code([[maybe_unused]] const cuda::DeviceInfo& info) {
  if constexpr (kWithCuda) {
    try {
      cuda::require_code();
    } catch (const cuda::DeviceError& e) {
      if (e.code != cuda::kNoKernelImage) return fmt::format("{} does not work: {}", info.name, e.what());
      return fmt::format("this graft was compiled for other devices than {}, whose compute capability is "
                         "{}.{}; build it with -DCMAKE_CUDA_ARCHITECTURES={}{}",
                         info.name, info.major, info.minor, info.major, info.minor);
    }
  }
  return {};
}

const void* checked(const Tensor& t, DType dtype) {
  GRAFT_CHECK(t.dtype() == dtype, "kernel: a tensor {} has type {}, read as {}", t.shape(),
              name_of(t.dtype()), name_of(dtype));
  GRAFT_CHECK(t.device() == kernels_on,
              "kernel: a tensor {} is on {}, others on {}; bring them together "
              "with to(Device)",
              t.shape(), name_of(t.device()), name_of(kernels_on));
  return &t;
}

}  // namespace

bool built_with_cuda() { return kWithCuda; }

std::string why_no_cuda() {
  if constexpr (kWithCuda) {
    if (cuda::device_count() == 0) return why_no_device();
    const cuda::DeviceInfo info = cuda::device_info();
    if (info.major < kOldest)
      return fmt::format("{} has compute capability {}.{}, {}.0 is needed", info.name, info.major,
                         info.minor, kOldest);
    return why_no_code(info);
  }
  return "this graft was built without CUDA";
}

std::string name_of_cuda_device() {
  if constexpr (kWithCuda) return cuda::device_info().name;
  refuse_cuda();
}

size_t cuda_device_bytes() {
  if constexpr (kWithCuda) return cuda::device_count() ? cuda::device_info().memory : 0;
  return 0;
}

size_t peak_cuda_bytes() {
  if constexpr (kWithCuda) return cuda::device_count() ? cuda::device_memory().peak : 0;
  return 0;
}

void allow_tf32(bool allowed) { tf32 = allowed; }
bool tf32_allowed() { return tf32; }
void allow_bf16(bool allowed) { bf16_factors = allowed; }
bool bf16_allowed() { return bf16_factors; }

cuda::GemmMath math_of(DType dtype) {
  switch (dtype) {
    case DType::bf16:
      return cuda::GemmMath::bf16;
    case DType::f16:
      return cuda::GemmMath::f16;
    default:
      return tf32 ? cuda::GemmMath::tf32 : cuda::GemmMath::f32;
  }
}

cuda::Stream stream() { return current; }

struct Lane::Impl {
  cuda::Stream stream;
  cuda::Event begin, end;

  ~Impl() {
    if constexpr (kWithCuda) {
      if (begin.handle) cuda::destroy(begin);
      if (end.handle) cuda::destroy(end);
      if (stream.handle) cuda::destroy(stream);
    }
  }
};

Lane::Lane() : impl_(std::make_unique<Impl>()) {
  if constexpr (kWithCuda) {
    impl_->begin = cuda::create_event();
    impl_->end = cuda::create_event();
    impl_->stream = cuda::create_stream();
    return;
  }
  refuse_cuda();
}

Lane::~Lane() {
  if constexpr (kWithCuda) {
    try {
      join();
    } catch (const std::exception&) {  // then nothing runs any more
    }
  }
}

void Lane::run(const std::function<void()>& work) {
  if constexpr (kWithCuda) {
    const cuda::Stream before = current;
    cuda::record(impl_->begin, before);
    cuda::wait(impl_->stream, impl_->begin);
    current = impl_->stream;
    try {
      work();
    } catch (...) {
      current = before;
      join();
      throw;
    }
    current = before;
  }
}

void Lane::join() {
  if constexpr (kWithCuda) {
    cuda::record(impl_->end, impl_->stream);
    cuda::wait(current, impl_->end);
  }
}

void* allocate(Device device, size_t bytes) {
  if (device == Device::cpu) return cpu::allocate(bytes);
  if constexpr (kWithCuda) return cuda::allocate(bytes, stream());
  refuse_cuda();
}

void release(Device device, void* block, size_t bytes) noexcept {
  if (device == Device::cpu) return cpu::release(block, bytes);
  if constexpr (kWithCuda) cuda::release(block, stream());
}

void copy_bytes(Device to_device, void* to, Device from_device, const void* from, size_t bytes) {
  if (bytes == 0) return;
  if (to_device == Device::cpu && from_device == Device::cpu) {
    std::memmove(to, from, bytes);
    return;
  }
  if constexpr (kWithCuda) {
    if (from_device == Device::cpu) return copy_staged(to, from, bytes);
    return cuda::copy(to, from, bytes, stream());
  }
  refuse_cuda();
}

void clear_bytes(Device device, void* to, size_t bytes) {
  if (bytes == 0) return;
  if (device == Device::cpu) {
    std::memset(to, 0, bytes);
    return;
  }
  if constexpr (kWithCuda) return cuda::fill_bytes(to, 0, bytes, stream());
  refuse_cuda();
}

KernelScope::KernelScope(Device device) : before_(kernels_on) { kernels_on = device; }
KernelScope::~KernelScope() { kernels_on = before_; }

const void* address(const Tensor& t, DType dtype) {
  return t.defined() && checked(t, dtype) ? t.address() : nullptr;
}

void* mutable_address(Tensor& t, DType dtype) {
  return t.defined() && checked(t, dtype) ? t.mutable_address() : nullptr;
}

}  // namespace graft
