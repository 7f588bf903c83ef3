// A folder of feature files (io/feature_file.h), features-<16 digits>.h5, one for each network,
// with at most so many bytes in all: what was used least recently makes room. Other files in the
// folder are left alone. Several processes may share it: a file is replaced as a whole, after what
// another process has written there meanwhile was taken over.
#pragma once
#include <cstdint>
#include <filesystem>

#include "io/feature_file.h"

namespace graft {

class FeatureFolder {
 public:
  // Makes it where it can; whether it can be written to shows in write().
  FeatureFolder(std::filesystem::path folder, int64_t most_bytes);

  std::filesystem::path file(const std::string& network) const;

  // Empty when there is no such file. Throws when there is one that cannot be used; write() will
  // replace it.
  std::vector<FeatureEntry> read(const std::string& network, const Shape& shape, DType dtype);

  // Least recently used first; all of one shape and type.
  void write(const std::string& network, std::vector<FeatureEntry> entries);

 private:
  struct State {  // of a file: another one when it was replaced
    int64_t size = -1;
    std::filesystem::file_time_type time;
    bool operator==(const State&) const = default;
  };
  static State state_of(const std::filesystem::path& file);
  void take_over(const std::string& network, std::vector<FeatureEntry>& entries) const;
  void make_room(const std::filesystem::path& newest) const;

  const std::filesystem::path folder_;
  const int64_t most_;
  State seen_;  // of the file that was read or written last
};

}  // namespace graft
