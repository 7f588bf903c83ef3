// libFuzzer's mutations with the checksums put right afterwards, mostly: what they guard is reached.
// Repairs zip archives, tar headers, HDF5's superblock and object headers, and our seal, wherever
// they stand in the bytes: an HDF5 file may be a member of an archive.
#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <string_view>

#include "io/crc32c.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);
extern "C" uint32_t H5_checksum_metadata(const void* data, size_t size, uint32_t initial);

namespace {

using namespace std::string_view_literals;
using Bytes = std::span<uint8_t>;

template <class T>
T number(Bytes bytes, size_t at) {
  T value;
  std::memcpy(&value, &bytes[at], sizeof value);
  return value;
}

template <class T>
void put(Bytes bytes, size_t at, T value) {
  std::memcpy(&bytes[at], &value, sizeof value);
}

// Calls `repair` with the bytes from each place on where `mark` and at least `least` bytes stand.
void at_each(std::string_view mark, size_t least, Bytes bytes,
             const std::function<void(Bytes)>& repair) {
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  for (size_t at = text.find(mark); at != text.npos; at = text.find(mark, at + 1))
    if (bytes.size() - at >= least) repair(bytes.subspan(at));
}

// ---- zip (APPNOTE 6.3.9, 4.3.7 and 4.3.12): checksums of members that are stored as they are ----

void repair_member(Bytes file, Bytes entry) {
  size_t size = number<uint32_t>(entry, 20), local = number<uint32_t>(entry, 42);
  if (local > file.size() || file.size() - local < 30) return;
  Bytes head = file.subspan(local);
  size_t begin = 30 + number<uint16_t>(head, 26) + number<uint16_t>(head, 28);
  if (begin > head.size() || size > head.size() - begin) return;
  auto sum = uint32_t(crc32(0, &head[begin], uInt(size)));
  put(entry, 16, sum);
  bool behind = head[6] & 8;  // the checksum follows the member
  if (!behind) put(head, 14, sum);
  if (behind && head.size() - begin - size >= 8) put(head, begin + size + 4, sum);
}

void repair_zip(Bytes file) {
  at_each("PK\x01\x02", 46, file, [&](Bytes entry) { repair_member(file, entry); });
}

// ---- tar (POSIX 1003.1, ustar): "ustar" stands at byte 257 of a header ---------------------------

void repair_tar(Bytes file) {
  for (size_t at = 0; at + 512 <= file.size(); at += 512) {
    Bytes header = file.subspan(at, 512);
    if (std::memcmp(&header[257], "ustar", 5) != 0) continue;
    std::memset(&header[148], ' ', 8);
    unsigned sum = 0;
    for (uint8_t byte : header) sum += byte;
    for (int digit = 5; digit >= 0; --digit, sum /= 8) header[148 + digit] = '0' + sum % 8;
    header[154] = 0;
  }
}

// ---- HDF5 (File Format Specification 3.0, II.A and IV.A.1.b) ------------------------------------

void put_sum(Bytes bytes, size_t size) {
  if (size + 4 <= bytes.size()) put(bytes, size, H5_checksum_metadata(bytes.data(), size, 0));
}

void repair_superblock(Bytes block) {
  if (block[8] >= 2) put_sum(block, 12 + 4 * size_t(block[9]));
}

void repair_object_header(Bytes header) {
  uint8_t flags = header[5];
  size_t at = 6 + (flags & 0x20 ? 16 : 0) + (flags & 0x10 ? 4 : 0), width = size_t(1) << (flags & 3);
  uint64_t size = 0;
  std::memcpy(&size, &header[at], width);
  if (size < header.size()) put_sum(header, at + width + size);
}

void repair_seal(Bytes file) {
  if (file.size() < 24) return;
  size_t length = file.size() - 24;
  Bytes seal = file.subspan(length);
  if (std::memcmp(seal.data(), "graftsum", 8) != 0) return;
  put(seal, 8, uint64_t(length));
  put(seal, 16, uint64_t(graft::crc32c(file.data(), length)));
}

void repair(Bytes file) {
  at_each("\x89HDF\r\n\x1a\n"sv, 16, file, repair_superblock);
  at_each("OHDR", 40, file, repair_object_header);
  repair_seal(file);
  repair_tar(file);
  repair_zip(file);
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t most, unsigned seed) {
  size = LLVMFuzzerMutate(data, size, most);
  if (seed % 8) repair({data, size});
  return size;
}
