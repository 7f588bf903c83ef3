// Whether two programs, or two versions of a library, make the same pixels of the same picture.
#pragma once
#include <string>

namespace graft {

// 64 hex digits of what this program makes of a small JPEG: decoded, resized both ways, cut, and
// changed at random in every way that there is. Takes milliseconds.
std::string pixel_digest();

}  // namespace graft
