#include "io/keras_file.h"

#include "io/keras_forms.h"
#include "io/sniff.h"
#include "io/source_file.h"
#include "io/zip.h"

namespace graft {
namespace {

constexpr const char* kWeights = "model.weights.h5";
constexpr const char* kConfig = "config.json";
constexpr int64_t kMaxConfig = 64 << 20;  // bytes

bool is_keras_archive(const ZipArchive& archive) {
  return archive.members().contains(kConfig) && archive.members().contains("metadata.json");
}

KerasFile read_hdf5(const Hdf5Reader& file, const std::map<std::string, std::string>& names) {
  switch (keras::form_of(file)) {
    case keras::Form::legacy: return keras::read_legacy(file);
    case keras::Form::oldest: return keras::read_oldest(file);
    case keras::Form::weights: return keras::read_weights(file, names);
    case keras::Form::none: break;
  }
  fail(Fault::data, "{}: holds no weights of Keras", file.name());
}

std::string text_of(ByteStream bytes) {
  GRAFT_CHECK(bytes.left() <= kMaxConfig, "{}: {} bytes is no configuration", bytes.name(),
              bytes.left());
  std::string text(size_t(bytes.left()), '\0');
  bytes.read(text.data(), text.size());
  return text;
}

// What stands in place of the one form of weights that is read.
std::string other_weights(const ZipArchive& archive) {
  const std::pair<const char*, const char*> others[] = {
      {"model.weights.json", "its weights are in pieces, which that file lists"},
      {"model.weights.npz", "its weights are arrays of NumPy, which graft does not read"}};
  for (auto [member, what] : others)
    if (archive.members().contains(member)) return fmt::format(", but with {}: {}", member, what);
  return "";
}

KerasFile read_archive(const ZipArchive& archive) {
  GRAFT_CHECK(archive.members().contains(kWeights),
              "{}: is a model of Keras without {}{}; load it in Keras and save its weights with "
              "model.save_weights(\"NAME.weights.h5\")",
              archive.name(), kWeights, other_weights(archive));
  std::string config = text_of(archive.open(kConfig)), name = archive.name() + ": " + kConfig;
  auto names = keras::names_in_config(config, name);
  KerasFile keras = read_hdf5(Hdf5Reader(archive.extract(kWeights)), names);
  keras.settings = keras::settings_in_config(config, name);
  return keras;
}

}  // namespace

bool is_keras_file(const std::filesystem::path& path) {
  Content content = sniff(InputFile(path));
  if (content == Content::zip) return is_keras_archive(ZipArchive(path));
  return content == Content::hdf5 && keras::form_of(Hdf5Reader(path)) != keras::Form::none;
}

// Without the models around it one after the other: "vgg16/fc1", "fc1".
std::vector<KerasSettings> KerasFile::settings_of(const KerasLayer& layer) const {
  std::vector<KerasSettings> found;
  for (std::string name = layer.name;; name.erase(0, name.find('/') + 1)) {
    for (auto [at, end] = settings.equal_range(name); at != end; ++at) found.push_back(at->second);
    if (!found.empty() || name.find('/') == name.npos) return found;
  }
}

KerasFile read_keras_file(const std::filesystem::path& path) {
  if (sniff(InputFile(path)) == Content::zip) return read_archive(ZipArchive(path));
  return read_hdf5(Hdf5Reader(path), {});
}

}  // namespace graft
