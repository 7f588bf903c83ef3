#include "io/safetensors.h"

#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  return fuzz::expect_value_or_data_error([&] { read_safetensors(fuzz::memory_file(data, size)); });
}
