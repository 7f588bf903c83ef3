// Everything in an HDF5 file: tensors, texts, and attributes of every kind.
#include "io/hdf5.h"

#include "fuzz/memory_file.h"

namespace graft::fuzz {
namespace {

void read_attributes(const Hdf5Reader& file, const std::string& path) {
  for (const std::string& name : file.attributes(path)) {
    expect_value_or_data_error([&] { file.texts(path, name); });
    expect_value_or_data_error([&] { file.numbers(path, name); });
    expect_value_or_data_error([&] { file.integer(path, name); });
  }
}

void read(const std::filesystem::path& path) {
  Hdf5Reader file(path);
  expect_value_or_data_error([&] { read_attributes(file, "/"); });
  for (const std::string& name : file.datasets()) {
    std::string set = "/" + name, group = set.substr(0, set.rfind('/'));
    expect_value_or_data_error([&] { file.tensor(set); });
    expect_value_or_data_error([&] { file.strings(set); });
    expect_value_or_data_error([&] { read_attributes(file, set); });
    if (!group.empty()) expect_value_or_data_error([&] { read_attributes(file, group); });
  }
}

}  // namespace
}  // namespace graft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  return fuzz::expect_value_or_data_error([&] { fuzz::read(fuzz::memory_file(data, size)); });
}
