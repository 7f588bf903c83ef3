#include "apps/free_memory.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>

namespace graft::app {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kNoLimit = INT64_MAX;

// The number behind `key` in a file of lines "key number"; with an empty key the file is a number.
std::optional<int64_t> number_in(const fs::path& path, const std::string& key = "") {
  std::ifstream file(path);
  int64_t value = 0;
  if (key.empty()) return file >> value ? std::optional(value) : std::nullopt;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + " ")) return std::atoll(line.c_str() + key.size());
  return std::nullopt;
}

struct GroupFiles {  // what the two versions of control groups call the same
  const char *limit, *used, *inactive, *active;
};
constexpr GroupFiles kVersion2{"memory.max", "memory.current", "inactive_file", "active_file"};
constexpr GroupFiles kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                               "total_inactive_file", "total_active_file"};

// Bytes. Pages of files are counted as used, but given up when memory is wanted.
int64_t left_in(const fs::path& group, const GroupFiles& files) {
  const auto limit = number_in(group / files.limit), used = number_in(group / files.used);
  if (!limit || !used) return kNoLimit;  // "max", or the root, which has no such file
  const fs::path details = group / "memory.stat";
  const int64_t given_up = number_in(details, files.inactive).value_or(0) +
                           number_in(details, files.active).value_or(0);
  return std::max<int64_t>(0, *limit - std::max<int64_t>(0, *used - given_up));
}

// A limit of each group on the way up holds. In a container the path may be that of the host, of
// which only the end of the way is there.
int64_t left_above(const fs::path& top, const std::string& path, const GroupFiles& files) {
  int64_t left = left_in(top, files);
  fs::path group = top;
  for (const fs::path& part : fs::path(path).relative_path()) {
    group /= part;
    left = std::min(left, left_in(group, files));
  }
  return left;
}

// Lines "number:controllers:path"; version 2 has no controllers there.
int64_t left_in_groups(const fs::path& root) {
  const fs::path top = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  int64_t left = kNoLimit;
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string path = line.substr(second + 1);
    if (controllers == ",,") left = std::min(left, left_above(top, path, kVersion2));
    if (controllers.find(",memory,") != std::string::npos)
      left = std::min(left, left_above(top / "memory", path, kVersion1));
  }
  return left;
}

}  // namespace

int64_t free_memory_mb(const fs::path& root) {
  const auto available = number_in(root / "proc/meminfo", "MemAvailable:");  // KiB
  return std::min(available ? *available / 1024 : kNoLimit >> 20, left_in_groups(root) >> 20);
}

}  // namespace graft::app
