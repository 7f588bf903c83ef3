#include "io/model_file.h"

#include "io/digest.h"
#include "io/keras_forms.h"
#include "io/safetensors.h"
#include "io/sniff.h"
#include "io/source_file.h"
#include "io/torch_file.h"

namespace graft {
namespace {

constexpr int64_t kModelVersion = 1;
constexpr const char* kAbout =
    "A neural network by graft. /tensors keeps published names and shapes; /preprocess makes its "
    "input from an image; /classes names its outputs in order.";

std::string layout_of(const Shape& shape) {
  switch (shape.size()) {
    case 0:
      return "scalar";
    case 1:
      return "O";
    case 2:
      return "OI";
    case 4:
      return "OIHW";
    default:
      return "row-major";
  }
}

void put_preprocess(Hdf5Writer& file, const Preprocess& p) {
  const std::string at = "/preprocess";
  file.group(at);
  file.attribute(at, "resize", int64_t(p.resize));
  file.attribute(at, "crop", int64_t(p.crop));
  file.attribute(at, "resize_rule", p.resize_rule);
  file.attribute(at, "interpolation", std::string(name_of(p.interpolation)));
  file.attribute(at, "mean", std::span<const float>(p.mean));
  file.attribute(at, "std", std::span<const float>(p.std));
  file.attribute(at, "scale", std::span<const float>(&p.scale, 1));
  file.attribute(at, "channels", std::string(p.bgr ? "BGR" : "RGB"));
}

int pixels(const Hdf5Reader& file, const char* name) {
  int64_t value = file.integer("/preprocess", name);
  GRAFT_CHECK(value > 0 && value <= 1 << 20, "{}: /preprocess {}: {} pixels", file.name(), name,
              value);
  return int(value);
}

template <size_t N>
std::array<float, N> floats(const Hdf5Reader& file, const char* name) {
  std::vector<double> values = file.numbers("/preprocess", name);
  GRAFT_CHECK(values.size() == N, "{}: /preprocess {}: {} numbers instead of {}", file.name(), name,
              values.size(), N);
  std::array<float, N> result;
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

// Files from before there was a choice do not say it.
Interpolation interpolation(const Hdf5Reader& file) {
  if (!file.has_attribute("/preprocess", "interpolation")) return Interpolation::bilinear;
  std::string name = file.text("/preprocess", "interpolation");
  if (auto known = interpolation_named(name)) return *known;
  fail(Fault::data, "{}: /preprocess interpolation: \"{}\"; bilinear and bicubic are known",
       file.name(), escaped(name));
}

Preprocess get_preprocess(const Hdf5Reader& file) {
  Preprocess p;
  p.resize = pixels(file, "resize");
  p.crop = pixels(file, "crop");
  p.resize_rule = file.text("/preprocess", "resize_rule");
  p.interpolation = interpolation(file);
  p.mean = floats<3>(file, "mean");
  p.std = floats<3>(file, "std");
  p.scale = floats<1>(file, "scale")[0];
  std::string channels = file.text("/preprocess", "channels");
  GRAFT_CHECK(channels == "RGB" || channels == "BGR", "{}: /preprocess channels: \"{}\"",
              file.name(), escaped(channels));
  p.bgr = channels == "BGR";
  try {
    check_preprocess(p);
  } catch (const Error& e) {
    fail(Fault::data, "{}: {}", file.name(), e.what());
  }
  return p;
}

void check_names(const ModelFile& m) {
  GRAFT_CHECK(m.class_ids.empty() || m.class_ids.size() == m.classes.size(),
              "model file: {} class ids for {} classes", m.class_ids.size(), m.classes.size());
  for (const auto& [name, hash] : m.frozen_hashes)
    GRAFT_CHECK(m.tensors.contains(name), "model file: a hash for {}, which is no tensor", name);
}

std::map<std::string, Hdf5Writer::Attributes> attributes_of(const ModelFile& m) {
  std::map<std::string, Hdf5Writer::Attributes> all;
  for (const auto& [name, hash] : m.frozen_hashes) all[name].emplace_back("frozen_sha256", hash);
  for (const auto& [name, source] : m.sources) {
    all[name].emplace_back("source", source.name);
    all[name].emplace_back("transform", source.transform);
  }
  return all;
}

void get_attributes(const Hdf5Reader& file, const std::string& name, ModelFile& m) {
  std::string path = "/tensors/" + name;
  if (file.has_attribute(path, "frozen_sha256"))
    m.frozen_hashes[name] = file.text(path, "frozen_sha256");
  if (!file.has_attribute(path, "source")) return;
  bool told = file.has_attribute(path, "transform");
  m.sources[name] = {file.text(path, "source"), told ? file.text(path, "transform") : ""};
}

bool is_ours(const Hdf5Reader& file) {
  return file.has_attribute("/", "format") && file.has_attribute("/", "version") &&
         file.text("/", "format").starts_with("graft ");
}

// The format and version of a file of ours, or an Error that says what it is instead.
void check_format(const Hdf5Reader& file) {
  GRAFT_CHECK(is_ours(file), "{}: is HDF5, but no model of graft: convert it with `graft convert`",
              file.name());
  int64_t version = file.integer("/", "version");
  GRAFT_CHECK(version <= kModelVersion && version > 0,
              "{}: was written by a newer graft: its format is version {}, this program reads up "
              "to {}; update graft",
              file.name(), version, kModelVersion);
  GRAFT_CHECK(file.sealed() || !file.has_attribute("/", "checksum"),
              "{}: its checksum is gone: the file was cut or edited since graft wrote it; after an "
              "edit on purpose delete the attribute \"checksum\" of /",
              file.name());
}

TensorMap read_hdf5_tensors(const std::filesystem::path& path) {
  Hdf5Reader file(path);
  if (file.has("/tensors")) {
    if (file.has_attribute("/", "format")) check_format(file);
    return get_tensors(file, "/tensors");
  }
  GRAFT_CHECK(keras::form_of(file) == keras::Form::none,
              "{}: holds Keras weights, whose layouts are of Keras; turn it into a model file with "
              "`graft convert`",
              file.name());
  return get_tensors(file, "/");
}

}  // namespace

void put_tensors(Hdf5Writer& file, const std::string& group, const TensorMap& tensors,
                 const std::map<std::string, Hdf5Writer::Attributes>& attributes) {
  file.group(group);
  for (const auto& [name, tensor] : tensors) {
    Hdf5Writer::Attributes all{{"layout", layout_of(tensor.shape())}};
    if (auto more = attributes.find(name); more != attributes.end())
      all.insert(all.end(), more->second.begin(), more->second.end());
    file.tensor(group + "/" + name, tensor, all);
    tensor.put_away();
  }
}

TensorMap get_tensors(const Hdf5Reader& file, const std::string& group) {
  TensorMap tensors;
  std::string prefix = group == "/" ? group : group + "/";
  for (const std::string& name : file.datasets(group))
    tensors.emplace_hint(tensors.end(), name, file.tensor(prefix + name));
  return tensors;
}

void put_model(Hdf5Writer& file, const ModelFile& model, const std::string& format) {
  check_names(model);
  file.attribute("/", "format", format);
  file.attribute("/", "version", kModelVersion);
  file.attribute("/", "about", std::string(kAbout));
  file.group("/arch");
  file.attribute("/arch", "name", model.architecture);
  file.attribute("/arch", "freeze_plan", model.freeze_plan);
  if (!model.frozen_hashes.empty())
    file.attribute("/arch", "frozen_digest", digest_of(model.frozen_hashes));
  put_preprocess(file, model.preprocess);
  if (!model.classes.empty()) file.strings("/classes", model.classes);
  if (!model.class_ids.empty()) file.strings("/class_ids", model.class_ids);
  file.group("/origin");
  for (const auto& [key, value] : model.origin) file.attribute("/origin", key, value);
  put_tensors(file, "/tensors", model.tensors, attributes_of(model));
  if (!model.golden) return;
  file.tensor("/golden/input", model.golden->input, {{"layout", "NHWC"}});
  file.tensor("/golden/logits", model.golden->logits, {{"layout", "NC"}});
}

ModelFile get_model(const Hdf5Reader& file) {
  check_format(file);
  ModelFile model;
  model.architecture = file.text("/arch", "name");
  model.freeze_plan = file.text("/arch", "freeze_plan");
  model.preprocess = get_preprocess(file);
  if (file.has("/classes")) model.classes = file.strings("/classes");
  if (file.has("/class_ids")) model.class_ids = file.strings("/class_ids");
  GRAFT_CHECK(model.class_ids.empty() || model.class_ids.size() == model.classes.size(),
              "{}: {} class ids for {} classes", file.name(), model.class_ids.size(),
              model.classes.size());
  for (const std::string& key : file.attributes("/origin"))
    model.origin[key] = file.text("/origin", key);
  model.tensors = get_tensors(file, "/tensors");
  for (const auto& [name, tensor] : model.tensors) get_attributes(file, name, model);
  // Files from before there was a digest do not have one.
  GRAFT_CHECK(!file.has_attribute("/arch", "frozen_digest") ||
                  file.text("/arch", "frozen_digest") == digest_of(model.frozen_hashes),
              "{}: the hashes of frozen tensors are not those that were written", file.name());
  if (file.has("/golden"))
    model.golden = Golden{file.tensor("/golden/input"), file.tensor("/golden/logits")};
  return model;
}

void write_model_file(const std::filesystem::path& path, const ModelFile& model) {
  Hdf5Writer file(path);
  put_model(file, model, "graft model");
  file.commit();
}

ModelFile read_model_file(const std::filesystem::path& path) { return get_model(Hdf5Reader(path)); }

Weights read_weights(const std::filesystem::path& path) {
  Content content = sniff(InputFile(path));
  switch (content) {
    case Content::safetensors: {
      Safetensors file = read_safetensors(path);
      return {std::move(file.tensors), {}, {}, file.metadata["architecture"]};
    }
    case Content::hdf5:
      return {read_hdf5_tensors(path)};
    case Content::zip:
    case Content::pickle:
    case Content::tar: {
      TorchFile file = read_torch_file(path);
      return {std::move(file.tensors), std::move(file.skipped), std::move(file.names)};
    }
    default:
      refuse(content, escaped(path.string()), "a file of weights that graft reads");
  }
}

TensorMap read_tensors(const std::filesystem::path& path) { return read_weights(path).tensors; }

bool is_model_file(const std::filesystem::path& path) {
  return sniff(InputFile(path)) == Content::hdf5 && is_ours(Hdf5Reader(path));
}

}  // namespace graft
