#include "io/sample_maker.h"

#include <cstring>

#include "io/sha256.h"

namespace graft {
namespace {

SampleKey digest_of(const Bytes& file) {
  Sha256 hash;
  hash.add(file.data(), file.size());
  return hash.digest();
}

SampleKey changed(const SampleKey& file, const Augment& augment, uint64_t seed, uint64_t draw) {
  static_assert(sizeof(Augment) == 9 * sizeof(float) + 2 * sizeof(int));  // no gaps
  Sha256 hash;
  hash.add(file.data(), file.size());
  hash.add(&augment, sizeof augment);
  hash.add(&seed, sizeof seed);
  hash.add(&draw, sizeof draw);
  return hash.digest();
}

}  // namespace

MadeSample SampleMaker::make(int64_t index, uint64_t epoch, int64_t place, uint8_t* out) {
  const uint64_t draw = draw_of(place, epoch);
  const Random random(options_.seed, "augment", draw);
  if (std::optional<MadeSample> cut = make_cut(index, random)) return *cut;
  std::optional<MadeSample> made = known(index, draw);
  if (made && made->kept.defined()) return *made;
  if (std::shared_ptr<const Image> kept = cache_.find(index)) {
    if (transform_.random()) transform_.run(*kept, random, out);
    else std::memcpy(out, kept->rgb.get(), size_t(transform_.bytes()));
    return made.value_or(MadeSample{});
  }
  Bytes file;
  if (read(index, file)) made = known(index, draw);
  if (made && made->kept.defined()) return *made;
  decode(index, file, random, out);
  return made.value_or(MadeSample{});
}

// For the device: of the decoded picture, or, when nothing is random, all of the finished pixels.
std::optional<MadeSample> SampleMaker::make_cut(int64_t index, Random random) const {
  if (!options_.there) return {};
  std::optional<DevicePictures::Size> size = options_.there->find(index);
  std::shared_ptr<Image> picture;
  if (!size) {
    if (!options_.there->has_room()) return {};
    const std::string& path = data_.samples[size_t(index)].path;
    const Bytes file = read_source(path);
    if (transform_.random()) {
      picture = std::make_shared<Image>(decode_image(file, path, options_.decode));
    } else {
      picture = std::make_shared<Image>(transform_.size(), transform_.size());
      transform_.run(file, path, options_.decode, random, picture->rgb.get());
    }
    size = {picture->width, picture->height};
  }
  const int side = transform_.size();
  Cut whole{.rgb = nullptr, .stride = 0, .from_x = 0, .from_y = 0, .from_width = side, .from_height = side,
            .to_width = side, .to_height = side, .window_x = 0, .window_y = 0, .flip = false};
  MadeSample made;
  made.cut = transform_.random() ? transform_.cut(random, size->width, size->height) : whole;
  made.picture = std::move(picture);
  return made;
}

uint64_t SampleMaker::draw_of(int64_t place, uint64_t epoch) const {
  const uint64_t view = options_.views > 0 ? epoch % uint64_t(options_.views) : epoch;
  return view * data_.samples.size() + uint64_t(place);
}

// Nothing when nobody keeps anything, or the file has not been read yet.
std::optional<MadeSample> SampleMaker::known(int64_t index, uint64_t draw) const {
  if (!options_.known || !digests_[size_t(index)]) return {};
  MadeSample made{*digests_[size_t(index)]};
  if (transform_.random()) made.key = changed(made.key, *transform_.augment(), options_.seed, draw);
  made.kept = options_.known(made.key);
  return made;
}

// -> true when the file is not the one that was last read, or nobody had read it.
bool SampleMaker::read(int64_t index, Bytes& file) {
  file = read_source(data_.samples[size_t(index)].path);
  if (!options_.known) return false;
  const SampleKey digest = digest_of(file);
  return std::exchange(digests_[size_t(index)], digest) != digest;
}

void SampleMaker::decode(int64_t index, const Bytes& file, Random random, uint8_t* out) {
  const std::string& path = data_.samples[size_t(index)].path;
  if (transform_.random() && cache_.has_room()) {
    auto decoded = std::make_shared<Image>(decode_image(file, path, options_.decode));
    transform_.run(*decoded, random, out);
    cache_.offer(index, std::move(decoded));
    return;
  }
  transform_.run(file, path, options_.decode, random, out);
  if (!transform_.random() && cache_.has_room()) {
    auto finished = std::make_shared<Image>(transform_.size(), transform_.size());
    std::memcpy(finished->rgb.get(), out, finished->bytes());
    cache_.offer(index, std::move(finished));
  }
}

}  // namespace graft
