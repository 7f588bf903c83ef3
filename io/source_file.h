// Reading an input file whole, safely: a FIFO, socket, device or folder in its place is refused
// at once and never waited for. Names of files are bytes; escaped() makes them fit for a message.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace graft {

using Bytes = std::vector<uint8_t>;

// Throws Error: no_input, permission, io, or data when it is no regular file or above max_bytes.
Bytes read_source(const std::string& path, int64_t max_bytes = int64_t(1) << 30);

// Valid UTF-8 stays; control characters, backslash and stray bytes become \n, \\ or \x1b.
std::string escaped(std::string_view text);

}  // namespace graft
