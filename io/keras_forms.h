// Private to io/keras_*: what HDF5 files of Keras look like, and one reader for each form.
#pragma once
#include <map>
#include <set>

#include "io/hdf5.h"
#include "io/keras_file.h"

namespace graft::keras {

enum class Form { none, legacy, oldest, weights };
Form form_of(const Hdf5Reader& file);

using Names = std::map<std::string, std::string>;  // group of a layer -> name of the layer

KerasFile read_legacy(const Hdf5Reader& file);
KerasFile read_oldest(const Hdf5Reader& file);
// `names`: "layers/conv2d_1" -> "block1_conv2"; the file's own go before.
KerasFile read_weights(const Hdf5Reader& file, const Names& names);

Names names_in_config(const std::string& json, const std::string& file);

using AllSettings = std::multimap<std::string, KerasSettings>;
AllSettings settings_in_config(const std::string& json, const std::string& file);

// Reads datasets and remembers which.
class Collector {
 public:
  explicit Collector(const Hdf5Reader& file) : file_(file) {}
  KerasWeight read(const std::string& path, std::string name);
  void add(std::string layer, std::vector<KerasWeight> weights);  // unless it has none
  KerasFile finish();  // lists what was not read

 private:
  const Hdf5Reader& file_;
  KerasFile keras_;
  std::set<std::string> read_;
};

}  // namespace graft::keras
