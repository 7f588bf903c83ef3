#include "io/hdf5_seal.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "core/check.h"
#include "io/crc32c.h"

namespace graft::hdf5 {
namespace {

struct Seal {
  char mark[8];
  uint64_t length, crc;
};
constexpr char kMark[] = "graftsum";

// CRC-32C of the first `length` bytes that `read(offset, to, bytes)` delivers.
template <class Read>
uint64_t checksum(int64_t length, Read read) {
  std::vector<char> piece(size_t(std::min<int64_t>(length, 1 << 18)));  // stays in the L2 cache
  uint32_t crc = 0;
  for (int64_t at = 0; at < length;) {
    size_t n = size_t(std::min<int64_t>(length - at, int64_t(piece.size())));
    read(at, piece.data(), n);
    crc = crc32c(piece.data(), n, crc);
    at += int64_t(n);
  }
  return crc;
}

}  // namespace

void append_seal(AtomicFile& file) {
  Seal seal{{}, uint64_t(file.size()), 0};
  std::memcpy(seal.mark, kMark, 8);
  seal.crc =
      checksum(file.size(), [&](int64_t at, char* to, size_t n) { file.read_at(at, to, n); });
  file.append(&seal, sizeof seal);
}

int64_t check_seal(const InputFile& file) {
  int64_t length = file.size() - int64_t(sizeof(Seal));
  if (length < 0) return file.size();
  Seal seal;
  file.read(length, &seal, sizeof seal);
  if (std::memcmp(seal.mark, kMark, 8) != 0) return file.size();
  auto read = [&](int64_t at, char* to, size_t n) { file.read(at, to, n); };
  bool fits = seal.length == uint64_t(length) && seal.crc == checksum(length, read);
  GRAFT_CHECK(fits,
              "{}: damaged: its checksum does not fit its contents; get it again, or use an "
              "older copy",
              file.name());
  return length;
}

}  // namespace graft::hdf5
