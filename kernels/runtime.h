// A CUDA device as graft uses it: memory from a pool that is ordered by streams, pinned host
// memory, copies, streams and events. Two implementations: kernels/cuda/runtime.cpp on the CUDA
// runtime, and tests/cusim/runtime_sim.cpp, which runs on the CPU, as late as CUDA may, and can be
// told to fail. Functions act on the calling thread's device. Streams and events are plain values
// that refer to what create_*() made and destroy() ends; what takes a stream returns before the
// work is done.
#pragma once
#include <cstddef>
#include <cstdint>
#include <new>
#include <stdexcept>
#include <string>

namespace graft::cuda {

// What the device or its driver refused. After a sticky error nothing on the device works any more
// in this process.
class DeviceError : public std::runtime_error {
 public:
  DeviceError(const std::string& message, int code, bool sticky)
      : std::runtime_error(message), code(code), sticky(sticky) {}
  int code;  // of cudaError_t
  bool sticky;
};

class OutOfMemory : public std::bad_alloc {
 public:
  OutOfMemory(const std::string& message, size_t bytes) : bytes(bytes), message_(message) {}
  const char* what() const noexcept override { return message_.c_str(); }
  size_t bytes;  // that were asked for

 private:
  std::string message_;
};

struct Stream {  // work in one stream runs in order
  void* handle = nullptr;
  bool operator==(const Stream&) const = default;
};

struct Event {  // a point in a stream
  void* handle = nullptr;
  bool operator==(const Event&) const = default;
};

struct DeviceInfo {
  std::string name;
  int major, minor;  // compute capability
  int multiprocessors;
  size_t memory;                // bytes
  size_t shared_per_block;      // bytes that one block may ask for
  size_t shared_per_processor;  // bytes that the blocks of one multiprocessor share
};

int device_count() noexcept;  // 0 where there is no device or no driver
void use_device(int index);   // for the calling thread
DeviceInfo device_info();
int multiprocessors();  // of the calling thread's device; remembered

Stream create_stream();  // does not wait for the default stream, Stream{}
void destroy(Stream stream) noexcept;
void synchronize(Stream stream);  // waits until all of its work is done
void synchronize_device();

Event create_event(bool timing = false);
void destroy(Event event) noexcept;
void record(Event event, Stream stream);
void wait(Stream stream, Event event);  // later work of the stream waits for what was recorded
bool finished(Event event);
void synchronize(Event event);
float milliseconds(Event from, Event to);  // both with timing, both finished

// Device memory, 256-byte aligned and uninitialised; null for 0 bytes. Valid for work in `stream`,
// and for other streams that wait for it; release() takes it back after the stream's work so far.
void* allocate(size_t bytes, Stream stream);  // throws OutOfMemory
void release(void* block, Stream stream) noexcept;
void release_cached();  // what the pool keeps goes back to the device

struct DeviceMemory {
  size_t live;      // bytes that are handed out, by the pool or to running graphs
  size_t peak;      // most of them since the last reset_device_peak(); of pool and graphs, added
  size_t reserved;  // bytes that both hold
};
DeviceMemory device_memory();
void reset_device_peak();

void* allocate_pinned(size_t bytes);  // host memory that copies may use while the host goes on
void release_pinned(void* block) noexcept;

// Between host and device in any direction. Pinned host memory must stay as it is until the stream
// has done the copy; one from or to other host memory is complete when the call returns, which waits
// for all of the stream's work so far.
void copy(void* to, const void* from, size_t bytes, Stream stream);
void fill_bytes(void* to, uint8_t value, size_t bytes, Stream stream);

// A block of device memory that lives for one scope, in stream order.
class Scratch {
 public:
  Scratch(size_t bytes, Stream stream) : data_(allocate(bytes, stream)), stream_(stream) {}
  ~Scratch() { release(data_, stream_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T = void>
  T* data() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  Stream stream_;
};

}  // namespace graft::cuda
