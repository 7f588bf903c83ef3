#include "io/digest.h"

#include "io/sha256.h"

namespace graft {

std::string digest_of(const std::map<std::string, std::string>& hashes) {
  if (hashes.empty()) return "";
  Sha256 digest;
  for (const auto& [name, hash] : hashes) {
    const std::string line = name + " " + hash + "\n";
    digest.add(line.data(), line.size());
  }
  return digest.hex();
}

}  // namespace graft
