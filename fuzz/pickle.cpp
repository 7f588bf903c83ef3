// A pickle, the state dict in it and tensors on storages of zeros: what the checksums of a zip
// archive keep the target torch_file from reaching.
#include "io/pickle.h"

#include "fuzz/memory_file.h"
#include "io/torch_state.h"

namespace graft::fuzz {
namespace {

constexpr size_t kMost = 1 << 16;  // bytes of a storage

ByteStream zeros(const TorchStorage& storage) {
  static const std::string bytes(kMost, '\0');
  GRAFT_CHECK(storage.count <= int64_t(kMost / storage.elements->bytes), "too large to try");
  size_t size = size_t(storage.count) * storage.elements->bytes;
  return ByteStream::of("zeros", std::string_view(bytes).substr(0, size));
}

void read(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  ByteStream bytes = ByteStream::of("fuzz", text);
  TorchState state = find_state(Pickle::read(bytes), "fuzz");
  load_tensors(state.tensors, "fuzz", zeros);
}

}  // namespace
}  // namespace graft::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return graft::fuzz::expect_value_or_data_error([&] { graft::fuzz::read(data, size); });
}
