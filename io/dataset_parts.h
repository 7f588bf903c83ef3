// The parts that dataset.cpp is put together from; nobody else includes it.
#pragma once
#include <optional>
#include <string_view>

#include "io/dataset.h"

namespace graft {

Dataset scan_classes(const std::string& folder, const DatasetOptions& options);  // a class a folder
Split read_csv_split(const std::string& path, const DatasetOptions& options, bool* has_split);

bool has_train_and_val(const std::string& folder);

// Index of a label among given classes: by name, by alias, by number. Nothing when unknown.
class ClassMatcher {
 public:
  explicit ClassMatcher(const DatasetOptions& options);
  std::optional<int> find(const std::string& label) const;

 private:
  std::map<std::string, int> index_;
  int count_ = 0;
};

// A label that is written as a whole number from 0 to 999,999.
std::optional<int> number_of(const std::string& label);

uint64_t hash_bytes(std::string_view bytes, uint64_t state = 0xcbf29ce484222325ull);
void check_class_count(const std::string& where, size_t count, const DatasetOptions& options);
std::string listed(const std::vector<std::string>& names);  // escaped, the first twenty

}  // namespace graft
