// The members of a tar archive (ustar, as Python's tarfile writes it) by name.
#pragma once
#include <map>
#include <string>

#include "io/file.h"

namespace graft {

struct TarMember {
  int64_t begin, end;  // bytes of the archive
};

// Regular files only; links and folders are passed by. Throws Fault::data for a bad checksum, a
// member that reaches past the end and two members of one name.
std::map<std::string, TarMember> tar_members(const InputFile& file);

}  // namespace graft
