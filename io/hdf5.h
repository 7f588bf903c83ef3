// HDF5 files, for trees of named tensors with attributes. Paths are absolute: "/tensors/fc.weight".
// The reader trusts nothing: it walks hard links only; refuses links to elsewhere, external and
// virtual data, data that was never written, and shapes the file cannot hold, before it takes
// memory; and it reads in a child process first, because damage can crash the library. The writer
// makes the file whole or not at all, and seals it: its last 24 bytes are "graftsum", the length
// before them and its CRC-32C (two u64, little-endian). Other HDF5 programs ignore the seal.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "io/file.h"

namespace graft {

class Hdf5Reader {
 public:
  explicit Hdf5Reader(const std::filesystem::path& path);  // checks the seal, if there is one
  explicit Hdf5Reader(InputFile file);
  ~Hdf5Reader();
  Hdf5Reader(Hdf5Reader&&) noexcept;

  const std::string& name() const;  // of the file, fit for a message
  bool sealed() const;
  bool has(const std::string& path) const;                                  // a group or a dataset
  std::vector<std::string> datasets(const std::string& group = "/") const;  // below it, sorted

  Tensor tensor(const std::string& path) const;
  std::vector<std::string> strings(const std::string& path) const;  // a dataset of strings

  std::vector<std::string> attributes(const std::string& path) const;  // their names
  bool has_attribute(const std::string& path, const std::string& name) const;
  std::string text(const std::string& path, const std::string& name) const;
  // An empty attribute is an empty list, whatever its type.
  std::vector<std::string> texts(const std::string& path, const std::string& name) const;
  int64_t integer(const std::string& path, const std::string& name) const;
  std::vector<double> numbers(const std::string& path, const std::string& name) const;

 private:
  void try_all() const;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

class Hdf5Writer {
 public:
  using Attributes = std::vector<std::pair<std::string, std::string>>;

  explicit Hdf5Writer(const std::filesystem::path& path);
  ~Hdf5Writer();  // without commit() nothing remains

  void group(const std::string& path);  // and those above it
  void tensor(const std::string& path, const Tensor& tensor, const Attributes& attributes = {});
  void strings(const std::string& path, const std::vector<std::string>& values);
  void attribute(const std::string& path, const std::string& name, const std::string& value);
  void attribute(const std::string& path, const std::string& name, int64_t value);
  void attribute(const std::string& path, const std::string& name, double value);
  void attribute(const std::string& path, const std::string& name, std::span<const float> values);
  // Seals, syncs and renames; an older file is kept under the name `previous`, when given.
  void commit(const std::filesystem::path& previous = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace graft
