// Reading the u8 arrays that tests/decode_reference.py writes; nothing more of the .npy format.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

namespace graft::test {

inline std::string reference_folder() {  // empty when the references were not made
  const char* folder = std::getenv("GRAFT_REFERENCE_DIR");
  return folder ? folder : "";
}

inline std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot open " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

struct Npy {
  std::vector<int> shape;
  std::vector<uint8_t> values;
};

inline Npy read_npy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.size() < 10 || bytes.find("'|u1'") == std::string::npos) {
    throw std::runtime_error(path + ": no u8 .npy file");
  }
  size_t header = uint8_t(bytes[8]) + (size_t(uint8_t(bytes[9])) << 8);
  Npy array;
  const char* at = bytes.c_str() + bytes.find("'shape': (") + 10;
  while (*at >= '0' && *at <= '9') {
    char* end = nullptr;
    array.shape.push_back(int(std::strtol(at, &end, 10)));
    at = end;
    while (*at == ',' || *at == ' ') ++at;
  }
  array.values.assign(bytes.begin() + 10 + long(header), bytes.end());
  return array;
}

// Of two arrays of bytes; 256 when their sizes differ.
inline int largest_difference(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  if (a.size() != b.size()) return 256;
  int largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
  return largest;
}

}  // namespace graft::test
