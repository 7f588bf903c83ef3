#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "core/check.h"
#include "io/dataset_parts.h"
#include "io/source_file.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

using Identity = std::pair<dev_t, ino_t>;  // of a folder, whatever path leads to it

std::optional<Identity> identity_of(const fs::path& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return {};
  return Identity{info.st_dev, info.st_ino};
}

std::string lower_extension(const fs::path& path) {
  std::string extension = path.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return char(c < 0x80 ? std::tolower(c) : c); });
  return extension;
}

bool hidden(const std::string& name) {
  return name.starts_with('.') || name == "Thumbs.db" || name == "desktop.ini";
}

bool readable_format(const std::string& extension) {
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png" || extension == ".bmp";
}

// Entries of a folder, sorted as bytes; a folder that cannot be read is an error with its name.
std::vector<fs::directory_entry> entries_of(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    entries.push_back(*at);
  }
  if (error) {
    fail(fault_of_errno(error.value()), "{}: cannot read the folder: {}", escaped(folder.string()),
         error.message());
  }
  std::sort(entries.begin(), entries.end(),
            [](const auto& a, const auto& b) { return a.path().native() < b.path().native(); });
  return entries;
}

// Collects the images below a class folder. A folder is entered once, whatever links lead to it.
class Walk {
 public:
  Walk(const std::string& root, const DatasetOptions& options, DatasetReport& report)
      : options_(options), report_(report), root_(root) {
    if (!options.links_outside) real_root_ = fs::canonical(root);
    if (auto id = identity_of(root)) seen_.insert(*id);
  }

  std::vector<std::string> images(const fs::path& folder) {
    found_.clear();
    auto before = seen_;  // each class has its own view of what was seen
    enter(folder);
    seen_ = std::move(before);
    return std::move(found_);
  }

 private:
  void leave_out(const std::string& why) { ++report_.left_out[why]; }

  void enter(const fs::path& folder) {
    auto id = identity_of(folder);
    if (id && !seen_.insert(*id).second) return leave_out("folder seen before (a link)");
    std::vector<fs::path> below;
    for (const fs::directory_entry& entry : entries_of(folder)) {
      if (hidden(entry.path().filename().string())) continue;
      take(entry, below);
    }
    for (const fs::path& path : below) enter(path);
  }

  void take(const fs::directory_entry& entry, std::vector<fs::path>& below) {
    std::error_code error;
    if (entry.is_symlink(error) && leaves_root(entry.path())) return;
    // These use what readdir said, without asking again for each file.
    if (entry.is_directory(error)) return below.push_back(entry.path());
    if (!entry.is_regular_file(error)) {
      return leave_out(entry.exists(error) ? "not a regular file" : "broken link");
    }
    std::string extension = lower_extension(entry.path());
    if (readable_format(extension)) return found_.push_back(entry.path().string());
    leave_out(extension.empty() ? "no extension" : "extension " + escaped(extension));
  }

  bool leaves_root(const fs::path& link) {
    if (options_.links_outside) return false;
    std::error_code error;
    fs::path real = fs::weakly_canonical(link, error);
    auto [end, _] = std::mismatch(real_root_.begin(), real_root_.end(), real.begin(), real.end());
    if (end == real_root_.end()) return false;
    fail(Fault::data, "{}: a link that leaves {}; remove it or allow links to the outside",
         escaped(link.string()), escaped(root_));
  }

  const DatasetOptions& options_;
  DatasetReport& report_;
  std::string root_;
  fs::path real_root_;
  std::set<Identity> seen_;
  std::vector<std::string> found_;
};

std::vector<std::string> class_folders(const std::string& folder, DatasetReport& report) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : entries_of(folder)) {
    std::string name = entry.path().filename().string();
    if (hidden(name)) continue;
    std::error_code error;
    if (entry.is_directory(error)) {
      names.push_back(name);
    } else {
      ++report.left_out["not in a class folder"];
    }
  }
  std::sort(names.begin(), names.end());
  if (names.empty()) {
    fail(Fault::data,
         "{}: no class folder; put the images of each class into a folder with its "
         "name",
         escaped(folder));
  }
  return names;
}

void warn_of_numbers(const std::vector<std::string>& names, DatasetReport& report) {
  if (!std::all_of(names.begin(), names.end(), [](auto& name) { return number_of(name); })) return;
  report.warnings.push_back(
      fmt::format("the class folders are numbers; they are sorted as text, so class 0 is \"{}\" "
                  "and class {} is "
                  "\"{}\"",
                  names.front(), names.size() - 1, names.back()));
}

}  // namespace

bool has_train_and_val(const std::string& folder) {
  std::error_code error;
  return fs::is_directory(folder + "/train", error) && fs::is_directory(folder + "/val", error);
}

Dataset scan_classes(const std::string& folder, const DatasetOptions& options) {
  Dataset data;
  data.root = folder;
  std::vector<std::string> names = class_folders(folder, data.report);
  check_class_count(folder, names.size(), options);
  bool given = !options.names.empty();
  if (!given) warn_of_numbers(names, data.report);
  data.classes = given ? options.names : names;
  ClassMatcher matcher(options);
  Walk walk(folder, options, data.report);
  for (size_t i = 0; i < names.size(); ++i) {
    std::string path = folder + "/" + names[i];
    std::optional<int> label = given ? matcher.find(names[i]) : int(i);
    if (!label) {
      fail(Fault::data,
           "{}: the model has no class of this name, nor of this number; its {} "
           "classes are {}",
           escaped(path), options.names.size(), listed(options.names));
    }
    std::vector<std::string> images = walk.images(path);
    if (images.empty() && !options.allow_empty) {
      fail(Fault::data, "{}: a class folder without images; remove it or allow empty ones",
           escaped(path));
    }
    for (std::string& image : images) data.samples.push_back({std::move(image), *label});
  }
  return data;
}

}  // namespace graft
