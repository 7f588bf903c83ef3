#include "io/tar.h"

#include "fuzz/memory_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  return fuzz::expect_value_or_data_error([&] {
    InputFile file(fuzz::memory_file(data, size));
    for (const auto& [name, member] : tar_members(file))
      if (member.begin < 0 || member.end < member.begin || member.end > file.size()) abort();
  });
}
