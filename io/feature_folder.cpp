#include "io/feature_folder.h"

#include <algorithm>
#include <unordered_set>

#include "io/file.h"

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
    : folder_(std::move(folder)), most_(most_bytes) {
  std::error_code shows_in_write;
  fs::create_directories(folder_, shows_in_write);
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
                                              DType dtype) {
  const fs::path path = file(network);
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  std::vector<FeatureEntry> entries = read_features(path, network, shape, dtype);
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
    std::vector<FeatureEntry> theirs = read_features(path, network, like.shape(), like.dtype());
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
  write_features(path, network, entries);
  seen_ = state_of(path);
  make_room(path);
}

void FeatureFolder::make_room(const fs::path& newest) const {
  std::vector<Found> files = files_in(folder_);
  std::sort(files.begin(), files.end(), [](auto& a, auto& b) { return a.time < b.time; });
  int64_t total = 0;
  for (const Found& file : files) total += file.size;
  for (const Found& file : files) {
    if (total <= most_) return;
    if (file.path == newest) continue;
    std::error_code ignored;
    if (fs::remove(file.path, ignored)) total -= file.size;
  }
}

}  // namespace graft
