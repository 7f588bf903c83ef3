// One SHA-256 for many: of the lines "name hash\n" in the order of the names, which sha256sum of
// such lines gives as well.
#pragma once
#include <map>
#include <string>

namespace graft {

std::string digest_of(const std::map<std::string, std::string>& hashes);  // "" of none

}  // namespace graft
