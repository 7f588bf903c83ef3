#include <algorithm>
#include <filesystem>
#include <unordered_map>

#include "core/check.h"
#include "io/csv.h"
#include "io/dataset_parts.h"
#include "io/source_file.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

std::string lower(std::string text) {
  for (char& c : text) c = char(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return text;
}

struct Columns {
  size_t path = 0, label = 1;
  std::optional<size_t> split;
  size_t count = 2;
};

// The first record is a header when it names a column for the path or the label.
std::optional<Columns> header_of(const CsvReader& csv) {
  const auto& fields = csv.fields();
  auto find = [&](std::initializer_list<const char*> names) -> std::optional<size_t> {
    for (size_t i = 0; i < fields.size(); ++i) {
      for (const char* name : names)
        if (lower(fields[i]) == name) return i;
    }
    return {};
  };
  auto path = find({"path", "file", "filename", "image"});
  auto label = find({"label", "class"});
  if (!path && !label) return {};
  if (!path) fail(Fault::data, "{}: the header has no column \"path\"", csv.where());
  if (!label) fail(Fault::data, "{}: the header has no column \"label\"", csv.where());
  return Columns{*path, *label, find({"split"}), fields.size()};
}

Columns columns_without_header(const CsvReader& csv) {
  size_t n = csv.fields().size();
  if (n < 2 || n > 3) {
    fail(Fault::data, "{}: {} columns; the form is path,label or path,label,split", csv.where(), n);
  }
  return {0, 1, n == 3 ? std::optional<size_t>(2) : std::nullopt, n};
}

struct Row {
  std::string path, label;
  int64_t line;
  bool val;
};

class Table {  // all rows of one file
 public:
  explicit Table(const std::string& path) : folder_(fs::path(path).parent_path()), csv_(path) {
    if (!csv_.next()) fail(Fault::data, "{}: no rows", escaped(path));
    std::optional<Columns> header = header_of(csv_);
    columns = header ? *header : columns_without_header(csv_);
    if (!header) add();
    while (csv_.next()) add();
    if (rows.empty()) fail(Fault::data, "{}: a header but no rows", escaped(path));
  }

  std::string folder() const { return folder_.empty() ? "." : folder_.string(); }

  Columns columns;
  std::vector<Row> rows;

 private:
  void add() {
    const auto& fields = csv_.fields();
    if (fields.size() != columns.count) {
      fail(Fault::data, "{}: {} columns where the first line has {}", csv_.where(), fields.size(),
           columns.count);
    }
    const std::string &path = fields[columns.path], &label = fields[columns.label];
    if (path.empty()) fail(Fault::data, "{}: the path is empty", csv_.where());
    if (label.empty() || lower(label) == "nan") {
      fail(Fault::data, "{}: the label is \"{}\"; write a class name or number", csv_.where(),
           label);
    }
    if (label[0] == '-' && number_of(label.substr(1))) {
      fail(Fault::data, "{}: label {} is out of range: numbers begin at 0", csv_.where(), label);
    }
    Row row{(folder_ / path).string(), label, csv_.line(), is_val()};
    auto [first, fresh] = lines_.try_emplace(row.path, row.line);
    if (!fresh) {
      fail(Fault::data, "{}: {} stands in line {} already", csv_.where(), escaped(path),
           first->second);
    }
    rows.push_back(std::move(row));
  }

  bool is_val() const {
    if (!columns.split) return false;
    std::string split = lower(csv_.fields()[*columns.split]);
    if (split == "train") return false;
    if (split == "val" || split == "valid" || split == "validation") return true;
    fail(Fault::data, "{}: split \"{}\"; write train or val", csv_.where(), escaped(split));
  }

  fs::path folder_;
  CsvReader csv_;
  std::unordered_map<std::string, int64_t> lines_;
};

// The classes: those given; else 0, 1, ... when every label is a number; else the sorted labels.
std::vector<std::string> classes_of(const Table& table, const DatasetOptions& options) {
  if (!options.names.empty()) return options.names;
  std::vector<std::string> names;
  int highest = 0;
  bool numbers = true;
  for (const Row& row : table.rows) {
    std::optional<int> number = number_of(row.label);
    numbers = numbers && number;
    highest = std::max(highest, number.value_or(0));
    names.push_back(row.label);
  }
  if (numbers) {
    names.clear();
    for (int i = 0; i <= highest; ++i) names.push_back(std::to_string(i));
    return names;
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace

std::optional<int> number_of(const std::string& label) {
  bool digits =
      !label.empty() && label.size() <= 6 &&
      std::all_of(label.begin(), label.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || (label.size() > 1 && label[0] == '0')) return {};
  return std::stoi(label);
}

ClassMatcher::ClassMatcher(const DatasetOptions& options) : count_(int(options.names.size())) {
  GRAFT_CHECK(options.aliases.empty() || options.aliases.size() == options.names.size(),
              "classes: {} aliases for {} names", options.aliases.size(), options.names.size());
  for (int i = 0; i < count_; ++i) index_.try_emplace(options.names[size_t(i)], i);
  for (size_t i = 0; i < options.aliases.size(); ++i)
    index_.try_emplace(options.aliases[i], int(i));
}

std::optional<int> ClassMatcher::find(const std::string& label) const {
  if (auto at = index_.find(label); at != index_.end()) return at->second;
  std::optional<int> number = number_of(label);
  return number && *number < count_ ? number : std::nullopt;
}

Split read_csv_split(const std::string& path, const DatasetOptions& options, bool* has_split) {
  Table table(path);
  *has_split = table.columns.split.has_value();
  Split split;
  split.train.root = split.val.root = table.folder();
  DatasetOptions classes = options;
  classes.names = classes_of(table, options);
  check_class_count(path, classes.names.size(), options);
  ClassMatcher matcher(classes);
  for (const Row& row : table.rows) {
    std::optional<int> label = matcher.find(row.label);
    if (!label) {
      fail(Fault::data, "{}, line {}: label \"{}\" is out of range: there are {} classes, {}",
           escaped(path), row.line, escaped(row.label), classes.names.size(),
           listed(classes.names));
    }
    (row.val ? split.val : split.train).samples.push_back({row.path, *label});
  }
  split.train.classes = split.val.classes = classes.names;
  return split;
}

}  // namespace graft
