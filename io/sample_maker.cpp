#include "io/sample_maker.h"

#include <cstring>

#include "io/source_file.h"

namespace graft {

void SampleMaker::make(int64_t index, uint64_t epoch, int64_t draw, uint8_t* out) {
  const Sample& sample = data_.samples[size_t(index)];
  Random random(seed_, "augment", epoch * data_.samples.size() + uint64_t(draw));
  if (std::shared_ptr<const Image> kept = cache_.find(index)) {
    if (transform_.random()) return transform_.run(*kept, random, out);
    std::memcpy(out, kept->rgb.get(), size_t(transform_.bytes()));
    return;
  }
  Bytes file = read_source(sample.path);
  if (transform_.random() && cache_.has_room()) {
    auto decoded = std::make_shared<Image>(decode_image(file, sample.path, decode_));
    transform_.run(*decoded, random, out);
    cache_.offer(index, std::move(decoded));
    return;
  }
  transform_.run(file, sample.path, decode_, random, out);
  if (!transform_.random() && cache_.has_room()) {
    auto finished = std::make_shared<Image>(transform_.size(), transform_.size());
    std::memcpy(finished->rgb.get(), out, finished->bytes());
    cache_.offer(index, std::move(finished));
  }
}

}  // namespace graft
