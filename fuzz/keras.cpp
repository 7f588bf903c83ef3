// Weights of Keras in any form: HDF5, alone or in an archive.
#include "io/keras_file.h"

#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  std::filesystem::path file = fuzz::memory_file(data, size);
  fuzz::expect_value_or_data_error([&] { is_keras_file(file); });
  return fuzz::expect_value_or_data_error([&] { read_keras_file(file); });
}
