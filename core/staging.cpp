#include "core/staging.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <vector>

#include "core/captured_work.h"
#include "core/dispatch.h"

namespace graft {
namespace {

constexpr size_t kChunk = size_t(8) << 20, kAlignment = 256;  // bytes
constexpr size_t kMostChunks = 8;
constexpr int kCaptureUnsupported = 900;  // of cudaError_t

// Filled from the front by copies of one stream, and again once the last of them is done.
struct Chunk {
  char* block;         // kChunk bytes
  cuda::Event copied;  // the last copy from it
  cuda::Stream stream{};
  size_t used = 0;
};

class Staging {
 public:
  void copy(char* to, const char* from, size_t bytes, cuda::Stream stream) {
    std::lock_guard lock(mutex_);
    while (bytes > 0) {
      Chunk& chunk = chunk_for(stream);
      const size_t n = std::min(bytes, kChunk - chunk.used);
      std::memcpy(chunk.block + chunk.used, from, n);
      send(chunk, to, n);
      to += n, from += n, bytes -= n;
    }
  }

 private:
  static void send(Chunk& chunk, char* to, size_t bytes) {
    cuda::copy(to, chunk.block + chunk.used, bytes, chunk.stream);
    chunk.used += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    try {
      cuda::record(chunk.copied, chunk.stream);
    } catch (const cuda::DeviceError&) {  // nothing else would tell when the copy is done
      cuda::synchronize(chunk.stream);
      throw;
    }
  }

  // One with room: half full, or done with, or new, or the first to be done with.
  Chunk& chunk_for(cuda::Stream stream) {
    for (Chunk& chunk : chunks_)
      if (chunk.stream == stream && chunk.used < kChunk) return chunk;
    for (Chunk& chunk : chunks_)
      if (cuda::finished(chunk.copied)) return begin(chunk, stream);
    if (chunks_.size() < kMostChunks) return begin(add_chunk(), stream);
    Chunk& oldest = chunks_[next_++ % kMostChunks];
    cuda::synchronize(oldest.copied);
    return begin(oldest, stream);
  }

  static Chunk& begin(Chunk& chunk, cuda::Stream stream) {
    chunk.stream = stream;
    chunk.used = 0;
    return chunk;
  }

  Chunk& add_chunk() {
    chunks_.reserve(kMostChunks);
    const cuda::Event copied = cuda::create_event();
    try {
      return chunks_.emplace_back(static_cast<char*>(cuda::allocate_pinned(kChunk)), copied);
    } catch (...) {
      cuda::destroy(copied);
      throw;
    }
  }

  std::mutex mutex_;
  std::vector<Chunk> chunks_;
  size_t next_ = 0;  // of the chunks, to wait for
};

}  // namespace

void copy_staged(void* to, const void* from, size_t bytes) {
  if constexpr (kWithCuda) {
    if (capturing())  // a launch would copy what is in the chunk by then
      throw cuda::DeviceError("a copy from the processor cannot be captured", kCaptureUnsupported, false);
    static Staging* staging = new Staging;  // never ended: the driver may be gone before it
    staging->copy(static_cast<char*>(to), static_cast<const char*>(from), bytes, stream());
  }
}

}  // namespace graft
