#include "io/feature_folder.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "io/file.h"
#include "io/source_file.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

constexpr const char* kPrefix = "features-";
constexpr size_t kDigits = 16;

bool is_feature_file(const fs::path& path) {
  const std::string stem = path.stem().string();
  if (path.extension() != ".h5" || !stem.starts_with(kPrefix)) return false;
  const std::string digits = stem.substr(std::string_view(kPrefix).size());
  return digits.size() == kDigits && digits.find_first_not_of("0123456789abcdef") == digits.npos;
}

// Bytes of a file, whose structure takes some besides keys and values.
int64_t file_bytes(const std::vector<FeatureEntry>& entries) {
  constexpr size_t structure = 16384;
  return int64_t(structure + entries.size() * (sizeof(SampleKey) + entries[0].value.bytes()));
}

int64_t disk_space(const fs::path& folder) {  // bytes; no limit where it cannot be asked for
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  return error ? INT64_MAX : int64_t(std::min<uintmax_t>(space.available, INT64_MAX));
}

std::string why_not_writable(const fs::path& folder) {
  std::error_code error, ignored;
  fs::create_directories(folder, error);
  const std::string name = escaped(folder.string());
  if (!fs::is_directory(folder, ignored))
    return fmt::format("{}: cannot make the folder: {}", name,
                       error ? error.message() : "there is something else of that name");
  if (::access(folder.c_str(), W_OK | X_OK) == 0) return "";
  return fmt::format("{}: cannot write to the folder: {}", name, strerror(errno));
}

struct Found {
  fs::path path;
  int64_t size;
  fs::file_time_type time;
};

std::vector<Found> files_in(const fs::path& folder) {  // what vanishes meanwhile is left out
  std::vector<Found> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (!is_feature_file(entry.path())) continue;
    std::error_code no_size, no_time;
    Found file{entry.path(), int64_t(entry.file_size(no_size)), entry.last_write_time(no_time)};
    if (!no_size && !no_time) files.push_back(file);
  }
  return files;
}

}  // namespace

FeatureFolder::FeatureFolder(fs::path folder, int64_t most_bytes)
    : folder_(std::move(folder)), most_(most_bytes), refusal_(why_not_writable(folder_)) {
  remove_leftovers(folder_);
}

fs::path FeatureFolder::file(const std::string& network) const {
  return folder_ / (kPrefix + network.substr(0, kDigits) + ".h5");
}

FeatureFolder::State FeatureFolder::state_of(const fs::path& file) {
  std::error_code no_size, no_time;
  State state{int64_t(fs::file_size(file, no_size)), fs::last_write_time(file, no_time)};
  return no_size || no_time ? State{} : state;
}

std::vector<FeatureEntry> FeatureFolder::read(const std::string& network, const Shape& shape,
                                              DType dtype, int64_t most_bytes) {
  const fs::path path = file(network);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  std::vector<FeatureEntry> entries = read_features(path, network, shape, dtype, most_bytes);
  fs::last_write_time(path, fs::file_time_type::clock::now(), ignored);  // it is in use
  seen_ = state_of(path);
  return entries;
}

// What another process has put there since goes before what is used here.
void FeatureFolder::take_over(const std::string& network,
                              std::vector<FeatureEntry>& entries) const {
  const fs::path path = file(network);
  const State now = state_of(path);
  if (now == State{} || now == seen_) return;
  std::unordered_set<SampleKey, SampleKeyHash> known;
  for (const FeatureEntry& e : entries) known.insert(e.key);
  try {
    const Tensor& like = entries.at(0).value;
    const int64_t ours = int64_t(entries.size() * like.bytes());
    std::vector<FeatureEntry> theirs = read_features(path, network, like.shape(), like.dtype(),
                                                     std::max<int64_t>(0, most_ - ours));
    std::erase_if(theirs, [&](const FeatureEntry& e) { return known.contains(e.key); });
    entries.insert(entries.begin(), theirs.begin(), theirs.end());
  } catch (const Error&) {  // damaged or foreign: it is replaced
  }
}

void FeatureFolder::write(const std::string& network, std::vector<FeatureEntry> entries) {
  if (entries.empty()) return;
  take_over(network, entries);
  const int64_t each = std::max<int64_t>(1, int64_t(entries[0].value.bytes()));
  const size_t fit = size_t(std::max<int64_t>(1, most_ / each));
  if (entries.size() > fit) entries.erase(entries.begin(), entries.end() - int64_t(fit));
  const fs::path path = file(network);
  std::error_code ignored;
  if (fs::is_symlink(path, ignored)) fs::remove(path, ignored);
  make_room(path, file_bytes(entries));
  write_features(path, network, entries);
  seen_ = state_of(path);
}

// For a file of so many bytes: what is less recently used goes until the limit holds and the disk
// has room, if it can have; last the file that this one replaces.
void FeatureFolder::make_room(const fs::path& file, int64_t bytes) const {
  std::vector<Found> others = files_in(folder_);
  std::sort(others.begin(), others.end(), [](auto& a, auto& b) { return a.time < b.time; });
  int64_t own = 0, sum = 0;
  for (const Found& other : others) (other.path == file ? own : sum) += other.size;
  const bool may_fit = disk_space(folder_) >= bytes - own - sum;
  auto too_full = [&] { return may_fit && disk_space(folder_) < bytes; };
  std::error_code ignored;
  for (const Found& other : others) {
    if (sum + bytes <= most_ && !too_full()) return;
    if (other.path != file && fs::remove(other.path, ignored)) sum -= other.size;
  }
  if (too_full()) fs::remove(file, ignored);
}

}  // namespace graft
