#include "io/torch_file.h"

#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  return fuzz::expect_value_or_data_error([&] { read_torch_file(fuzz::memory_file(data, size)); });
}
