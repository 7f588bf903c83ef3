// kernels/runtime.h on the CUDA runtime. Not yet run on a GPU.
#include "kernels/runtime.h"

#include <cuda.h>
#include <cudaTypedefs.h>

#include <cstring>
#include <mutex>

#include "kernels/cuda/capture.h"
#include "kernels/cuda/check.h"
#include "kernels/cuda/copy.h"
#include "kernels/cuda/device_code.h"
#include "kernels/cuda/tensor_map.h"
#include "kernels/driver.h"

namespace graft::cuda {
namespace {

cudaStream_t raw(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }
cudaEvent_t raw(Event event) { return static_cast<cudaEvent_t>(event.handle); }

int current_device() {
  int device = 0;
  check(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

int attribute(cudaDeviceAttr which, int device) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute");
  return value;
}

DeviceInfo read_info(int device) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, device), "cudaGetDeviceProperties");
  return {p.name,
          p.major,
          p.minor,
          p.multiProcessorCount,
          p.totalGlobalMem,
          p.sharedMemPerBlockOptin,
          p.sharedMemPerMultiprocessor};
}

// The device's own pool, told once to keep what is released: giving it back at every
// synchronisation, as it would, costs more than the kernels that use it.
cudaMemPool_t pool() {
  constexpr int kMost = 64;  // devices
  static std::once_flag made[kMost];
  static cudaMemPool_t pools[kMost];
  const int device = current_device();
  if (device >= kMost) raise(cudaErrorInvalidDevice, "more devices than graft knows");
  std::call_once(made[device], [device] {
    check(cudaDeviceGetDefaultMemPool(&pools[device], device), "cudaDeviceGetDefaultMemPool");
    uint64_t keep = UINT64_MAX;
    check(cudaMemPoolSetAttribute(pools[device], cudaMemPoolAttrReleaseThreshold, &keep),
          "cudaMemPoolSetAttribute");
  });
  return pools[device];
}

size_t pool_bytes(cudaMemPoolAttr which) {
  uint64_t value = 0;
  check(cudaMemPoolGetAttribute(pool(), which, &value), "cudaMemPoolGetAttribute");
  return value;
}

bool is_sticky(cudaError_t error) {  // the context is lost
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorContained:
    case cudaErrorUnknown:
      return true;
    default:
      return false;
  }
}

// A function of the driver, which nothing is linked with: the runtime has it open.
template <class Function>
Function of_driver(const char* name) {
  void* function = nullptr;
  cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  check(cudaGetDriverEntryPointByVersion(name, &function, 12000, cudaEnableDefault, &found), name);
#else
  check(cudaGetDriverEntryPoint(name, &function, cudaEnableDefault, &found), name);
#endif
  if (found != cudaDriverEntryPointSuccess || !function) raise(cudaErrorNotSupported, name);
  return reinterpret_cast<Function>(function);
}

TensorMap tensor_map(const CUtensorMap& encoded) {
  static_assert(sizeof(TensorMap) == sizeof encoded);
  TensorMap map;
  std::memcpy(&map, &encoded, sizeof map);
  return map;
}

CUtensorMapDataType tensor_map_type(DType type) {
  return type == DType::bf16  ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16
         : type == DType::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16
                              : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
}

size_t graph_bytes(cudaGraphMemAttributeType which) {
  uint64_t value = 0;
  check(cudaDeviceGetGraphMemAttribute(current_device(), which, &value),
        "cudaDeviceGetGraphMemAttribute");
  return value;
}

std::string megabytes(size_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

[[noreturn]] void raise_out_of_memory(size_t bytes, const char* kind) {
  size_t free = 0, total = 0;
  cudaMemGetInfo(&free, &total);
  cudaGetLastError();  // the failure has been told, the next call starts afresh
  throw OutOfMemory("out of " + std::string(kind) + " memory: " + megabytes(bytes) +
                        " asked for, " + megabytes(free) + " of " + megabytes(total) +
                        " free on the device",
                    bytes);
}

}  // namespace

void raise(cudaError_t error, const char* what) {
  cudaGetLastError();
  throw DeviceError(
      std::string(what) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")",
      int(error), is_sticky(error));
}

int device_count() noexcept {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

void use_device(int index) { check(cudaSetDevice(index), "cudaSetDevice"); }

// Where the driver is missing the answer is cudaErrorInsufficientDriver, too.
DriverAnswer ask_driver() noexcept {
  DriverAnswer answer{.built_with = CUDART_VERSION};
  cudaDriverGetVersion(&answer.driver);
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  cudaGetLastError();
  answer.too_old = error == cudaErrorInsufficientDriver && answer.driver > 0;
  if (error != cudaSuccess && error != cudaErrorNoDevice && error != cudaErrorInsufficientDriver)
    answer.failure = std::string(cudaGetErrorString(error)) + " (" + cudaGetErrorName(error) + ")";
  return answer;
}

void require_code() {
  cudaFuncAttributes found{};
  check(cudaFuncGetAttributes(&found, any_kernel()), "cudaFuncGetAttributes");
}

// cudaGetDeviceProperties is slow, and the first layer asks at each call.
DeviceInfo device_info() {
  thread_local int device = -1;
  thread_local DeviceInfo info;
  if (int now = current_device(); now != device) {
    info = read_info(now);
    device = now;
  }
  return info;
}

int multiprocessors() {
  thread_local int device = -1, count = 0;
  if (int now = current_device(); now != device) {
    count = attribute(cudaDevAttrMultiProcessorCount, now);
    device = now;
  }
  return count;
}

Stream create_stream() {
  cudaStream_t stream = nullptr;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return {stream};
}

void destroy(Stream stream) noexcept {
  if (stream.handle) cudaStreamDestroy(raw(stream));
}

void synchronize(Stream stream) { check(cudaStreamSynchronize(raw(stream)), "synchronize"); }
void synchronize_device() { check(cudaDeviceSynchronize(), "synchronize"); }

Event create_event(bool timing) {
  cudaEvent_t event = nullptr;
  check(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming),
        "cudaEventCreate");
  return {event};
}

void destroy(Event event) noexcept {
  if (event.handle) cudaEventDestroy(raw(event));
}

void record(Event event, Stream stream) {
  check(cudaEventRecord(raw(event), raw(stream)), "cudaEventRecord");
}

void wait(Stream stream, Event event) {
  check(cudaStreamWaitEvent(raw(stream), raw(event)), "cudaStreamWaitEvent");
}

bool finished(Event event) {
  cudaError_t state = cudaEventQuery(raw(event));
  if (state == cudaErrorNotReady) {
    cudaGetLastError();
    return false;
  }
  check(state, "cudaEventQuery");
  return true;
}

void synchronize(Event event) { check(cudaEventSynchronize(raw(event)), "synchronize"); }

float milliseconds(Event from, Event to) {
  float elapsed = 0;
  check(cudaEventElapsedTime(&elapsed, raw(from), raw(to)), "cudaEventElapsedTime");
  return elapsed;
}

void* allocate(size_t bytes, Stream stream) {
  if (bytes == 0) return nullptr;
  void* block = nullptr;
  cudaError_t error = cudaMallocFromPoolAsync(&block, bytes, pool(), raw(stream));
  // Once more with what other streams have released; within a capture nothing is taken yet.
  if (error == cudaErrorMemoryAllocation && !capturing) {
    cudaGetLastError();
    synchronize_device();
    release_cached();
    error = cudaMallocFromPoolAsync(&block, bytes, pool(), raw(stream));
  }
  if (error == cudaErrorMemoryAllocation) raise_out_of_memory(bytes, "device");
  check(error, "cudaMallocFromPoolAsync");
  if (capturing) capturing->blocks.insert(block);
  return block;
}

void release(void* block, Stream stream) noexcept {
  if (!block) return;
  if (capturing && !capturing->blocks.erase(block)) return capturing->kept.push_back(block);
  cudaFreeAsync(block, raw(stream));
}

void release_cached() { check(cudaMemPoolTrimTo(pool(), 0), "cudaMemPoolTrimTo"); }

DeviceMemory device_memory() {
  return {pool_bytes(cudaMemPoolAttrUsedMemCurrent) + graph_bytes(cudaGraphMemAttrUsedMemCurrent),
          pool_bytes(cudaMemPoolAttrUsedMemHigh) + graph_bytes(cudaGraphMemAttrUsedMemHigh),
          pool_bytes(cudaMemPoolAttrReservedMemCurrent) +
              graph_bytes(cudaGraphMemAttrReservedMemCurrent)};
}

void reset_device_peak() {
  uint64_t zero = 0;  // CUDA takes no other value, and goes on from what is used now
  check(cudaMemPoolSetAttribute(pool(), cudaMemPoolAttrUsedMemHigh, &zero),
        "cudaMemPoolSetAttribute");
  check(cudaDeviceSetGraphMemAttribute(current_device(), cudaGraphMemAttrUsedMemHigh, &zero),
        "cudaDeviceSetGraphMemAttribute");
}

void* allocate_pinned(size_t bytes) {
  if (bytes == 0) return nullptr;
  void* block = nullptr;
  cudaError_t error = cudaMallocHost(&block, bytes);
  if (error == cudaErrorMemoryAllocation) raise_out_of_memory(bytes, "pinned");
  check(error, "cudaMallocHost");
  return block;
}

void release_pinned(void* block) noexcept {
  if (block) cudaFreeHost(block);
}

bool is_pageable(const void* p) {
  cudaPointerAttributes found{};
  check(cudaPointerGetAttributes(&found, p), "cudaPointerGetAttributes");
  return found.type == cudaMemoryTypeUnregistered;
}

void start_copy(void* to, const void* from, size_t bytes, Stream stream) {
  if (capturing && (is_pageable(to) || is_pageable(from)))
    raise(cudaErrorStreamCaptureUnsupported, "copy of memory that is not pinned");
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, raw(stream)), "copy");
}

void fill_bytes(void* to, uint8_t value, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  check(cudaMemsetAsync(to, value, bytes, raw(stream)), "fill_bytes");
}

TensorMap encode(const TensorBoxes& boxes) {
  static const auto encoder = of_driver<PFN_cuTensorMapEncodeTiled_v12000>("cuTensorMapEncodeTiled");
  const cuuint64_t size = size_of(boxes.type);
  const cuuint64_t sizes[2] = {cuuint64_t(boxes.columns), cuuint64_t(boxes.rows)};
  const cuuint64_t stride = cuuint64_t(boxes.stride) * size;  // bytes
  const cuuint32_t box[2] = {cuuint32_t(128 / size), cuuint32_t(boxes.box_rows)}, steps[2] = {1, 1};
  CUtensorMap encoded;
  const CUresult result =
      encoder(&encoded, tensor_map_type(boxes.type), 2, const_cast<void*>(boxes.data), sizes,
              &stride, box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
              CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) raise(cudaErrorInvalidValue, "cuTensorMapEncodeTiled");
  return tensor_map(encoded);
}

TensorMap encode(const PixelBoxes& b) {
  static const auto encoder = of_driver<PFN_cuTensorMapEncodeIm2col_v12000>("cuTensorMapEncodeIm2col");
  const cuuint64_t size = size_of(b.type), c = cuuint64_t(b.channels), w = cuuint64_t(b.w.size),
                   h = cuuint64_t(b.h.size);
  const cuuint64_t sizes[4] = {c, w, h, cuuint64_t(b.images)};
  const cuuint64_t strides[3] = {size * c, size * c * w, size * c * w * h};  // bytes
  const int lower[2] = {b.w.lower, b.h.lower}, upper[2] = {b.w.upper(), b.h.upper()};
  const cuuint32_t steps[4] = {1, cuuint32_t(b.w.stride), cuuint32_t(b.h.stride), 1};
  CUtensorMap encoded;
  const CUresult result =
      encoder(&encoded, tensor_map_type(b.type), 4, const_cast<void*>(b.data), sizes, strides, lower,
              upper, cuuint32_t(128 / size), cuuint32_t(b.box_pixels), steps,
              CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
              CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS) raise(cudaErrorInvalidValue, "cuTensorMapEncodeIm2col");
  return tensor_map(encoded);
}

}  // namespace graft::cuda
