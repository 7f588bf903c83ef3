#include "io/tar.h"

#include <cstring>
#include <numeric>

#include "core/check.h"
#include "io/source_file.h"

namespace graft {
namespace {

constexpr int64_t kBlock = 512;  // bytes; headers and contents begin at multiples of it

struct Header {  // POSIX 1003.1, "ustar Interchange Format"; numbers are octal text
  char name[100], mode[8], owner[8], group[8], size[12], time[12], checksum[8], type, rest[355];
};
static_assert(sizeof(Header) == kBlock);

template <size_t N>
std::string text_of(const char (&field)[N]) {
  return {field, strnlen(field, N)};
}

template <size_t N>
int64_t octal(const char (&field)[N]) {  // -1 when it is none
  int64_t value = 0;
  bool digits = false;
  for (char c : field) {
    if (c == ' ' && !digits) continue;
    if (c == ' ' || c == '\0') break;
    if (c < '0' || c > '7') return -1;
    value = value * 8 + (c - '0'), digits = true;
  }
  return digits ? value : -1;
}

// The sum of the header's bytes, those of the checksum counted as spaces.
int64_t sum_of(Header header) {
  std::memset(header.checksum, ' ', sizeof header.checksum);
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  return std::accumulate(bytes, bytes + kBlock, int64_t(0));
}

}  // namespace

std::map<std::string, TarMember> tar_members(const InputFile& file) {
  std::map<std::string, TarMember> members;
  for (int64_t at = 0; at + kBlock <= file.size();) {
    Header header;
    file.read(at, &header, sizeof header);
    if (header.name[0] == '\0') break;  // the end
    int64_t size = octal(header.size), begin = at + kBlock;
    GRAFT_CHECK(octal(header.checksum) == sum_of(header) && size >= 0,
                "{}: the tar header at byte {} is damaged; get the file again", file.name(), at);
    std::string name = text_of(header.name);
    GRAFT_CHECK(size <= file.size() - begin,
                "{}: its member {} has {} bytes, but {} follow: it was cut, get it again",
                file.name(), escaped(name), size, file.size() - begin);
    bool regular = header.type == '0' || header.type == '\0';
    bool fresh = !regular || members.emplace(name, TarMember{begin, begin + size}).second;
    GRAFT_CHECK(fresh, "{}: has two members {}", file.name(), escaped(name));
    at = begin + (size + kBlock - 1) / kBlock * kBlock;
  }
  return members;
}

}  // namespace graft
