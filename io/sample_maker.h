// The pixels of one sample: from memory if they are kept there, else from its file. What is kept
// is finished pixels when the transform is fixed and the decoded picture when it is random, so
// that nothing random is ever kept. All of it may be called from any thread.
#pragma once
#include "io/dataset.h"
#include "io/sample_cache.h"
#include "io/transforms.h"

namespace graft {

class SampleMaker {
 public:
  // `data` and `transform` must outlive it.
  SampleMaker(const Dataset& data, const Transform& transform, const DecodeOptions& decode,
              uint64_t seed, int64_t cache_bytes)
      : data_(data),
        transform_(transform),
        decode_(decode),
        seed_(seed),
        cache_(int64_t(data.samples.size()), cache_bytes) {}

  // Writes transform.bytes() bytes; random changes depend on (seed, epoch, draw) only, draw being less
  // than the number of samples.
  void make(int64_t index, uint64_t epoch, int64_t draw, uint8_t* out);

 private:
  const Dataset& data_;
  const Transform& transform_;
  const DecodeOptions decode_;
  const uint64_t seed_;
  SampleCache cache_;
};

}  // namespace graft
