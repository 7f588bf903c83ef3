// A folder of feature files (io/feature_file.h), features-<16 digits>.h5, one for each network,
// with at most so many bytes in all: what was used least recently makes room, before something is
// written, for a full disk too. Other files in the folder are left alone; a link in the place of a
// feature file is replaced, not followed. Several processes may share it: a file is replaced as a
// whole, after what another process has written there meanwhile was taken over.
#pragma once
#include <cstdint>
#include <filesystem>

#include "io/feature_file.h"

namespace graft {

class FeatureFolder {
 public:
  FeatureFolder(std::filesystem::path folder, int64_t most_bytes);  // makes it where it can
  const std::string& refusal() const { return refusal_; }  // why nothing can be written; else empty

  std::filesystem::path file(const std::string& network) const;

  // At most so many bytes of values, the most recently used. Empty when there is no such file.
  // Throws when there is one that cannot be used; write() will replace it.
  std::vector<FeatureEntry> read(const std::string& network, const Shape& shape, DType dtype,
                                 int64_t most_bytes);

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
  void make_room(const std::filesystem::path& file, int64_t bytes) const;

  const std::filesystem::path folder_;
  const int64_t most_;
  std::string refusal_;
  State seen_;  // of the file that was read or written last
};

}  // namespace graft
