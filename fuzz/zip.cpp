// Every member of an archive, to its last byte.
#include "io/zip.h"

#include "fuzz/memory_file.h"

namespace graft::fuzz {
namespace {

void read(const std::filesystem::path& path) {
  ZipArchive archive(path);
  for (const auto& member : archive.members())
    expect_value_or_data_error([&] {
      ByteStream bytes = archive.open(member.first);
      std::string text(size_t(bytes.left()), '\0');
      bytes.read(text.data(), text.size());
    });
}

}  // namespace
}  // namespace graft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace graft;
  return fuzz::expect_value_or_data_error([&] { fuzz::read(fuzz::memory_file(data, size)); });
}
