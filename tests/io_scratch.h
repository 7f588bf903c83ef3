// For tests of io/: a folder that vanishes, whole files as strings, and "this must be an Error".
#pragma once
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "core/check.h"
#include "tests/small_model.h"

namespace graft::test {

namespace fs = std::filesystem;

class Scratch {
 public:
  Scratch() {
    fs::path base = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();  // memory
    std::string pattern = (base / "graft-io-XXXXXX").string();
    if (!mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  fs::path operator/(const std::string& name) const { return path_ / name; }
  const fs::path& path() const { return path_; }
  size_t files() const { return size_t(std::distance(fs::directory_iterator(path_), {})); }

 private:
  fs::path path_;
};

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline void spill(const fs::path& path, const std::string& bytes) {
  fs::remove(path);  // ext4 writes a truncated file to the disk at once, which is slow
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Bytes between two places at which a file is damaged, where a child process has to read it: under
// a sanitizer each takes up to 0.1 s.
#ifdef __SANITIZE_ADDRESS__
constexpr size_t kChildStride = 13;
#else
constexpr size_t kChildStride = 1;
#endif

// The message of the Error that f throws; anything else fails the test.
template <class F>
std::string error_of(F f, Fault fault = Fault::data) {
  try {
    f();
  } catch (const Error& e) {
    EXPECT_EQ(int(e.fault), int(fault)) << e.what();
    return e.what();
  }
  ADD_FAILURE() << "no Error was thrown";
  return "";
}

inline bool same(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

inline bool same(const TensorMap& a, const TensorMap& b) {
  if (a.size() != b.size()) return false;
  for (const auto& [name, tensor] : a)
    if (!b.contains(name) || !same(tensor, b.at(name))) return false;
  return true;
}

inline void expect_same(const ModelFile& a, const ModelFile& b) {
  EXPECT_TRUE(same(a.tensors, b.tensors));
  EXPECT_EQ(a.architecture, b.architecture);
  EXPECT_EQ(a.classes, b.classes);
  EXPECT_EQ(a.class_ids, b.class_ids);
  EXPECT_EQ(a.freeze_plan, b.freeze_plan);
  EXPECT_EQ(a.origin, b.origin);
  EXPECT_EQ(a.frozen_hashes, b.frozen_hashes);
  EXPECT_EQ(a.preprocess.resize, b.preprocess.resize);
  EXPECT_EQ(a.preprocess.crop, b.preprocess.crop);
  EXPECT_EQ(a.preprocess.resize_rule, b.preprocess.resize_rule);
  EXPECT_EQ(a.preprocess.interpolation, b.preprocess.interpolation);
  EXPECT_EQ(a.preprocess.mean, b.preprocess.mean);
  EXPECT_EQ(a.preprocess.std, b.preprocess.std);
  EXPECT_EQ(a.preprocess.scale, b.preprocess.scale);
  EXPECT_EQ(a.preprocess.bgr, b.preprocess.bgr);
  ASSERT_EQ(a.golden.has_value(), b.golden.has_value());
  if (!a.golden) return;
  EXPECT_TRUE(same(a.golden->input, b.golden->input));
  EXPECT_TRUE(same(a.golden->logits, b.golden->logits));
}

}  // namespace graft::test
