// Which images there are and what they show. A data set is a folder with a folder per class (or
// with train/ and val/ of that form), or a CSV file `path,label[,split]`. No image is opened here.
// Always: classes are sorted as bytes unless they are given; samples are in a fixed order; what
// was left out or looks wrong stands in the report.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace graft {

struct Sample {
  std::string path;  // as it can be opened
  int label = 0;     // index in Dataset::classes
};

struct DatasetReport {
  std::map<std::string, int64_t> left_out;  // why -> number of files
  std::vector<std::string> warnings;        // one sentence each, fit for a terminal
};

struct Dataset {
  std::string root;  // the folder, or that of the CSV file
  std::vector<std::string> classes;
  std::vector<Sample> samples;
  DatasetReport report;

  std::vector<int64_t> class_sizes() const;  // number of samples of each class
  // Of relative paths, file sizes, labels and classes, in order: equal for equal data, wherever it
  // lies. Asks the file system for each size; a missing file counts as size -1.
  uint64_t fingerprint() const;
};

struct DatasetOptions {
  bool allow_single_class = false;
  bool allow_empty = false;   // class folders without images
  bool links_outside = true;  // follow symbolic links that leave the folder
  double val_split = 0;       // part held back for validation where the data has no split itself
  bool check_shared = true;   // look for images that are in train and in val
  // The classes of a model: labels are matched by name, by alias (parallel to names; may be empty)
  // or by index, and not all need to occur. Empty: the classes of the data.
  std::vector<std::string> names, aliases;
};

struct Split {
  Dataset train, val;  // val may have no samples
};

// For training: train/ and val/ must have the same classes; a data set without a split is cut by a
// hash of each file's name, so that adding files moves no others.
Split open_split(const std::string& path, const DatasetOptions& options = {});

// For evaluation: all images; of a folder that has train/ and val/, or a CSV file that has a split,
// only those for validation.
Dataset open_dataset(const std::string& path, const DatasetOptions& options = {});

// Number of files of `b` whose bytes equal those of some file of `a`. Reads few files whole.
int64_t count_shared(const Dataset& a, const Dataset& b);

// True when a file with this name (without folders) belongs to validation.
bool held_back(const std::string& file_name, double val_split);

}  // namespace graft
