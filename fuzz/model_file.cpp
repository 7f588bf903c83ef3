// Files of ours: a model file, and the checkpoint that it may be.
#include "io/checkpoint.h"

#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  std::filesystem::path file = fuzz::memory_file(data, size);
  fuzz::expect_value_or_data_error([&] { read_model_file(file); });
  return fuzz::expect_value_or_data_error([&] { read_checkpoint(file); });
}
