#include "io/source_file.h"

#include <algorithm>

#include "core/check.h"
#include "io/file.h"

namespace graft {
namespace {

// Length of the valid UTF-8 sequence at the start of text, 0 when there is none.
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t i) { return uint8_t(text[i]); };
  uint8_t first = byte(0);
  if (first < 0x80) return 1;
  size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < n) return 0;
  for (size_t i = 1; i < n; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  bool surrogate = first == 0xed && byte(1) > 0x9f;
  bool too_big = first == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_big ? 0 : n;
}

}  // namespace

Bytes read_source(const std::string& path, int64_t max_bytes) {
  InputFile file(path);
  GRAFT_CHECK(file.size() <= max_bytes, "{}: {} bytes, more than the limit of {}", file.name(),
              file.size(), max_bytes);
  Bytes bytes(size_t(file.size()));
  file.read(0, bytes.data(), bytes.size());
  return bytes;
}

std::string escaped(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    uint8_t c = uint8_t(text[i]);
    size_t n = utf8_length(text.substr(i, 4));
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '\t') {
      out += "\\t";
    } else if (c < 0x20 || c == 0x7f || n == 0) {
      out += fmt::format("\\x{:02x}", c);
    } else {
      out.append(text, i, n);
    }
    i += std::max<size_t>(n, 1);
  }
  return out;
}

}  // namespace graft
