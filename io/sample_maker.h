// The pixels of one sample: from memory if they are kept there, else from its file; or what
// somebody else keeps in their place. Kept here are finished pixels when the transform is fixed and
// the decoded picture when it is random, so that nothing random is ever kept. All of it may be
// called from any thread, for one sample by one thread at a time.
#pragma once
#include <functional>
#include <optional>

#include "core/tensor.h"
#include "io/dataset.h"
#include "io/device_pictures.h"
#include "io/image.h"
#include "io/sample_cache.h"
#include "io/sample_key.h"
#include "io/source_file.h"
#include "io/transforms.h"

namespace graft {

struct MadeSample {
  SampleKey key{};  // all zero unless somebody keeps something
  Tensor kept;      // what is known of these pixels; undefined: they have been written,
  std::optional<Cut> cut;  // or are yet to be cut on the device, from the picture there or this one
  std::shared_ptr<const Image> picture;
};

struct SampleMakerOptions {
  DecodeOptions decode;
  uint64_t seed = 0;
  int64_t cache_bytes = 0;
  int64_t views = 0;                              // as in LoaderOptions
  std::function<Tensor(const SampleKey&)> known;  // likewise
  DevicePictures* there = nullptr;                // outlives the maker; not with `known`
};

class SampleMaker {
 public:
  // `data` and `transform` must outlive it.
  SampleMaker(const Dataset& data, const Transform& transform, SampleMakerOptions options)
      : data_(data),
        transform_(transform),
        options_(std::move(options)),
        cache_(int64_t(data.samples.size()), options_.cache_bytes),
        digests_(options_.known ? data.samples.size() : 0) {}

  // Writes transform.bytes() bytes, unless something is known of the sample. Random changes depend
  // on (seed, epoch or view, place) only; the place is the index, or another number below that of the
  // samples.
  MadeSample make(int64_t index, uint64_t epoch, int64_t place, uint8_t* out);

 private:
  std::optional<MadeSample> make_cut(int64_t index, Random random) const;
  uint64_t draw_of(int64_t place, uint64_t epoch) const;
  std::optional<MadeSample> known(int64_t index, uint64_t draw) const;
  bool read(int64_t index, Bytes& file);
  void decode(int64_t index, const Bytes& file, Random random, uint8_t* out);

  const Dataset& data_;
  const Transform& transform_;
  const SampleMakerOptions options_;
  SampleCache<Image> cache_;
  std::vector<std::optional<SampleKey>> digests_;  // of the files as they were last read
};

}  // namespace graft
