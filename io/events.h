// RUN/events.jsonl: what happened, one JSON object per line, in order; only ever appended to.
// A line is on disk when append() returns. What a crash left of a half line is cut off at opening.
#pragma once
#include <filesystem>
#include <string>

#include "io/file.h"

namespace graft {

class EventLog {
 public:
  // Keeps the first `keep` lines that are there (a resumed run writes the later ones again).
  explicit EventLog(const std::filesystem::path& path, int64_t keep = INT64_MAX);
  void append(const std::string& json);  // one line, without the newline

 private:
  std::string name_;
  Descriptor fd_;
};

}  // namespace graft
