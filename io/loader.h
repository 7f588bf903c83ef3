// Batches of pixels and labels, decoded ahead on threads.
// Always: the order of an epoch depends on (seed, epoch) alone, and a batch on its place in that
// order alone: any number of threads, any cache and a restart in the middle give the same batches.
// One thread uses a Loader; it decodes too while it waits. Nothing random is ever cached here;
// somebody else may keep what he made of a sample, and gets that back in place of its pixels.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "io/dataset.h"
#include "io/sample_key.h"
#include "io/transforms.h"

namespace graft {

struct Batch {
  Tensor images;                 // (n, size, size, 3) u8; less those of which something is kept;
                                 // where LoaderOptions::device says
  Tensor labels;                 // (n) i32
  std::vector<int64_t> indices;  // of the samples in the data set
  int64_t number = 0;            // its place in the epoch; start(epoch, number + 1) goes on after it
  // With LoaderOptions::known, one of each per sample; what is undefined has its pixels in
  // `images`, which are in the order of the samples, and undefined when there are none.
  std::vector<SampleKey> keys;
  std::vector<Tensor> kept;
};

struct LoaderOptions {
  int64_t batch = 32;
  bool shuffle = false;
  bool balanced = false;  // shuffled so that each class comes up equally often: io/sampling.h
  uint64_t seed = 0;
  int threads = 2;       // beside the caller's; 0: all work is done in next()
  int64_t prefetch = 4;  // batches made ahead of the one that is handed out
  // A last batch of fewer samples joins the one before it (batch norm cannot learn from one
  // sample).
  int64_t min_last_batch = 1;
  // A bad image is left out of its batch, which is then smaller. More bad files than
  // max(1, max_bad_fraction * samples) end the run, and so does the first one if strict.
  bool strict = false;
  double max_bad_fraction = 0.001;
  int64_t cache_bytes = 0;  // finished pixels (evaluation) or decoded pictures (training)
  // On the CUDA device a batch arrives while the one before is computed. There it is cut from
  // decoded pictures (finished pixels, when nothing is random), of which so many bytes are kept, to
  // the same bytes; with 0 it is made on the processor and sent. Above 0 it is for transforms that
  // only_cuts(), without `known`.
  Device device = Device::cpu;
  int64_t device_bytes = 0;
  int64_t views = 0;        // above 0: random changes are those of epoch % views, not new ones
  std::function<Tensor(const SampleKey&)> known;  // what is kept or undefined; from any thread
  DecodeOptions decode;
};

struct BadFile {
  int64_t index;        // of the sample
  std::string message;  // names the file
};

class Loader {
 public:
  // `data` must outlive the loader.
  Loader(const Dataset& data, Transform transform, const LoaderOptions& options);
  ~Loader();  // stops the threads; may be called at any time
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Begins an epoch at its batch number `first_batch`, whatever was left of the one before.
  void start(uint64_t epoch, int64_t first_batch = 0);
  int64_t batches() const;  // of an epoch; the same for every epoch
  int64_t largest_batch() const;  // its number of samples
  // The next batch; false at the end of the epoch. A batch whose images are all bad, or fewer than
  // min_last_batch, is left out. Throws what went wrong in any thread, and cuda::OutOfMemory.
  bool next(Batch& batch);

  const std::vector<BadFile>& bad_files() const;  // so far, each once, in the order met
  int64_t samples_left_out() const;               // good ones, in batches that became too small
  int64_t bytes_there() const;                    // of decoded pictures kept on the CUDA device
  double waited() const;                          // seconds in next() so far, with helping

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The order of the samples in an epoch: 0..count-1, shuffled by (seed, epoch).
std::vector<int64_t> epoch_order(int64_t count, bool shuffle, uint64_t seed, uint64_t epoch);

}  // namespace graft
