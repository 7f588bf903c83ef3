#include "io/dataset.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_map>

#include "core/check.h"
#include "io/dataset_parts.h"
#include "io/source_file.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

int64_t size_of_file(const std::string& path) {  // bytes, -1 when there is none
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 ? int64_t(info.st_size) : -1;
}

std::vector<std::string> missing_from(const std::vector<std::string>& a,
                                      const std::vector<std::string>& b) {
  std::vector<std::string> out;
  std::set_difference(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
  return out;
}

void check_same_classes(const Split& split) {
  if (split.train.classes == split.val.classes) return;
  auto only_train = missing_from(split.train.classes, split.val.classes);
  auto only_val = missing_from(split.val.classes, split.train.classes);
  fail(Fault::data,
       "{} and {} have different classes. Only in train: {}. Only in val: {}. "
       "Both need the same class folders",
       escaped(split.train.root), escaped(split.val.root), listed(only_train), listed(only_val));
}

Split cut(Dataset all, double val_split) {
  Split split;
  split.val.root = all.root;
  split.val.classes = all.classes;
  std::vector<Sample> kept;
  for (Sample& sample : all.samples) {
    bool val = held_back(fs::path(sample.path).filename().string(), val_split);
    (val ? split.val.samples : kept).push_back(std::move(sample));
  }
  all.samples = std::move(kept);
  split.train = std::move(all);
  return split;
}

void warn_of_sizes(Dataset& data, const char* part) {
  std::vector<int64_t> sizes = data.class_sizes();
  int64_t smallest = INT64_MAX, largest = 0;
  std::vector<std::string> without;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) without.push_back(data.classes[i]);
    if (sizes[i] > 0) smallest = std::min(smallest, sizes[i]);
    largest = std::max(largest, sizes[i]);
  }
  auto& warnings = data.report.warnings;
  if (!without.empty()) {
    warnings.push_back(fmt::format("{}: no images of {}", part, listed(without)));
  }
  if (largest >= 10 * smallest) {
    warnings.push_back(fmt::format("{}: the largest class has {} images, the smallest {}", part,
                                   largest, smallest));
  }
}

void finish(Split& split, const DatasetOptions& options) {
  if (split.train.samples.empty()) {
    fail(Fault::data, "{}: no images to train with", escaped(split.train.root));
  }
  if (options.names.empty()) warn_of_sizes(split.train, "train");
  if (split.val.samples.empty()) return;
  if (options.names.empty()) warn_of_sizes(split.val, "val");
  if (!options.check_shared) return;
  if (int64_t shared = count_shared(split.train, split.val)) {
    split.train.report.warnings.push_back(fmt::format(
        "{} of {} validation images are also in the training set, byte for byte: the accuracy "
        "will look too good",
        shared, split.val.samples.size()));
  }
}

// Hash of a whole file; of one that cannot be read, a value of its own.
uint64_t hash_of_file(const std::string& path) {
  try {
    Bytes bytes = read_source(path);
    return hash_bytes({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  } catch (const Error&) {
    return hash_bytes(path);
  }
}

}  // namespace

std::vector<int64_t> Dataset::class_sizes() const {
  std::vector<int64_t> sizes(classes.size(), 0);
  for (const Sample& sample : samples) ++sizes[size_t(sample.label)];
  return sizes;
}

uint64_t Dataset::fingerprint() const {
  uint64_t state = hash_bytes(fmt::format("{} samples", samples.size()));
  for (const std::string& name : classes) state = hash_bytes(name + '\n', state);
  std::string prefix = root + '/';
  for (const Sample& sample : samples) {
    std::string_view path = sample.path;
    if (path.starts_with(prefix)) path.remove_prefix(prefix.size());
    state = hash_bytes(path, state);
    state = hash_bytes(fmt::format("\n{} {}\n", size_of_file(sample.path), sample.label), state);
  }
  return state;
}

Split open_split(const std::string& path, const DatasetOptions& options) {
  GRAFT_CHECK(options.val_split >= 0 && options.val_split < 1,
              "data: a validation split of {} must be in [0, 1)", options.val_split);
  Split split;
  bool has_split = false;
  std::error_code error;
  fs::file_status status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    fail(Fault::no_input, "{}: there is no such folder or CSV file", escaped(path));
  }
  if (fs::is_directory(status)) {
    has_split = has_train_and_val(path);
    if (has_split) {
      split = {scan_classes(path + "/train", options), scan_classes(path + "/val", options)};
      check_same_classes(split);
    } else {  // train/ alone is a data set without a validation part, not one of one class
      bool only_train = fs::is_directory(path + "/train", error);
      split.train = scan_classes(only_train ? path + "/train" : path, options);
    }
  } else {
    split = read_csv_split(path, options, &has_split);
  }
  if (has_split && options.val_split > 0)
    fail(Fault::usage, "{}: says itself what is for validation; leave out the validation split",
         escaped(path));
  if (!has_split) split = cut(std::move(split.train), options.val_split);
  finish(split, options);
  return split;
}

Dataset open_dataset(const std::string& path, const DatasetOptions& options) {
  DatasetOptions whole = options;
  whole.val_split = 0;
  whole.check_shared = false;
  std::error_code error;
  if (fs::is_directory(path, error) && has_train_and_val(path)) {
    return open_dataset(path + "/val", options);
  }
  if (fs::is_directory(path, error)) {
    Dataset data = scan_classes(path, whole);
    if (data.samples.empty()) fail(Fault::data, "{}: no images", escaped(path));
    return data;
  }
  Split split = open_split(path, whole);
  return split.val.samples.empty() ? std::move(split.train) : std::move(split.val);
}

int64_t count_shared(const Dataset& a, const Dataset& b) {
  std::unordered_map<int64_t, std::vector<const Sample*>> by_size;
  for (const Sample& sample : b.samples) by_size[size_of_file(sample.path)].push_back(&sample);
  by_size.erase(-1);
  std::unordered_map<int64_t, std::vector<const Sample*>> same_size;
  for (const Sample& sample : a.samples) {
    int64_t size = size_of_file(sample.path);
    if (by_size.contains(size)) same_size[size].push_back(&sample);
  }
  int64_t shared = 0;
  for (const auto& [size, samples] : same_size) {
    std::set<uint64_t> hashes;
    for (const Sample* sample : samples) hashes.insert(hash_of_file(sample->path));
    for (const Sample* sample : by_size[size])
      shared += hashes.contains(hash_of_file(sample->path));
  }
  return shared;
}

bool held_back(const std::string& file_name, double val_split) {
  return double(hash_bytes(file_name) >> 11) * 0x1p-53 < val_split;
}

// FNV-1a, and a final mix (SplitMix64) because FNV's upper bits depend little on the last bytes.
uint64_t hash_bytes(std::string_view bytes, uint64_t state) {
  for (char c : bytes) state = (state ^ uint8_t(c)) * 0x100000001b3ull;
  state = (state ^ state >> 30) * 0xbf58476d1ce4e5b9ull;
  state = (state ^ state >> 27) * 0x94d049bb133111ebull;
  return state ^ state >> 31;
}

void check_class_count(const std::string& where, size_t count, const DatasetOptions& options) {
  if (count >= 2 || options.allow_single_class || !options.names.empty()) return;
  fail(Fault::data,
       "{}: only one class, so there is nothing to tell apart; add a class or allow a "
       "single one",
       escaped(where));
}

std::string listed(const std::vector<std::string>& names) {
  constexpr size_t longest = 20;
  std::string out;
  for (size_t i = 0; i < std::min(names.size(), longest); ++i) {
    out += (i ? ", " : "") + escaped(names[i]);
  }
  if (names.size() > longest) out += fmt::format(" and {} more", names.size() - longest);
  return out.empty() ? "none" : out;
}

}  // namespace graft
