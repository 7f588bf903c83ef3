// A model file: HDF5 that says by itself what a user needs years later. `h5ls -rv` shows it all:
//   /           format, version, about, checksum          /preprocess  resize, crop, mean, std, ...
//   /arch       name, freeze_plan, frozen_digest           /classes     names in order; /class_ids
//   /tensors/<published name>  layout, dtype, frozen_sha256 (proof that training left it alone),
//                              source and transform: its name in the file it came from, and what
//                              was done to it on the way; absent when nobody knows
//   /origin     source, licence, ... as text               /golden      input and its logits
// Tensors have their published shapes (convolution O,I,H,W). Every byte is under a checksum.
#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor_map.h"
#include "io/hdf5.h"
#include "io/transforms.h"

namespace graft {

struct Golden {   // what loading can verify
  Tensor input;   // (1, H, W, 3) f32, normalised; small
  Tensor logits;  // (1, classes) f32
};

struct TensorSource {
  std::string name, transform;  // "conv1_conv/kernel:0", "HWIO -> OIHW"
};

struct ModelFile {
  TensorMap tensors;
  std::string architecture;
  std::vector<std::string> classes;    // display names in order
  std::vector<std::string> class_ids;  // second names, e.g. WordNet ids; empty, or one per class
  Preprocess preprocess;
  std::string freeze_plan;
  std::map<std::string, std::string> origin;         // source, sha256, licence, tool version ...
  std::map<std::string, std::string> frozen_hashes;  // tensor name -> SHA-256, before = after
  std::map<std::string, TensorSource> sources;       // tensor name -> where it came from
  std::optional<Golden> golden;
};

void write_model_file(const std::filesystem::path& path, const ModelFile& model);
ModelFile read_model_file(const std::filesystem::path& path);  // a checkpoint is one as well
bool is_model_file(const std::filesystem::path& path);         // by what is in it

// The tensors of a file under its own names: ours, other HDF5, safetensors, PyTorch's. What the file
// is, its contents say, not its name; a message tells what to do with others. Keras' files have
// layers, not names: io/keras_file.h reads those.
struct Weights {
  TensorMap tensors;
  std::vector<std::string> skipped;  // what stood beside them and was not read: "epoch (a number)"
  std::map<std::string, std::string> names;  // as in the file, where a prefix was dropped
  std::string architecture;  // that a safetensors file of ours names in its metadata; else empty
};
Weights read_weights(const std::filesystem::path& path);
TensorMap read_tensors(const std::filesystem::path& path);

// The parts, for files that contain a model: `format` is "graft model" or what extends it.
void put_model(Hdf5Writer& file, const ModelFile& model, const std::string& format);
ModelFile get_model(const Hdf5Reader& file);
void put_tensors(Hdf5Writer& file, const std::string& group, const TensorMap& tensors,
                 const std::map<std::string, Hdf5Writer::Attributes>& attributes = {});
TensorMap get_tensors(const Hdf5Reader& file, const std::string& group);

}  // namespace graft
