// Reads what golden.py wrote for one network. Values were computed by PyTorch in float64; "noise"
// is how far its float32 strays from them, which is what a tolerance is measured in.
#pragma once
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <string>

#include "io/model_file.h"
#include "io/safetensors.h"

namespace graft::tests {

class GoldenFile {
 public:
  explicit GoldenFile(const std::string& arch)
      : weights(read_weights_of(arch, "safetensors")),
        file_(read_safetensors(folder() / arch / "golden.safetensors")) {}

  // The same tensors from another form of file: "pth", "legacy.pth".
  static TensorMap read_weights_of(const std::string& arch, const std::string& form) {
    return read_tensors(folder() / arch / ("weights." + form));
  }

  static std::filesystem::path folder() {
    const char* value = std::getenv("GRAFT_GOLDEN_DIR");
    return value ? value : "";
  }
  static bool exists(const std::string& arch) {
    return !folder().empty() && std::filesystem::exists(folder() / arch / "golden.safetensors");
  }

  const Tensor& at(const std::string& name) const { return file_.tensors.at(name); }
  float number(const std::string& name) const { return at(name).item(); }
  const std::string& metadata(const std::string& name) const { return file_.metadata.at(name); }

  // Holds values of this regime; logits in eval mode it always has.
  bool trained(const std::string& regime) const {
    return regime == "eval" || file_.metadata.contains("plan/" + regime);
  }

  // What follows `prefix` in the names that begin with it.
  std::set<std::string> names(const std::string& prefix) const {
    std::set<std::string> found;
    for (const auto& [name, tensor] : file_.tensors)
      if (name.starts_with(prefix)) found.insert(name.substr(prefix.size()));
    return found;
  }

  TensorMap weights;

 private:
  Safetensors file_;
};

inline double largest(const Tensor& t) {
  double most = 0;
  for (int64_t i = 0; i < t.size(); ++i) most = std::max(most, std::abs(double(t.data()[i])));
  return most;
}

inline double largest_difference(const Tensor& a, const Tensor& b) {
  GRAFT_CHECK(a.shape() == b.shape(), "golden: shapes {} and {}", a.shape(), b.shape());
  double most = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    double d = std::abs(double(a.data()[i]) - double(b.data()[i]));
    most = std::isnan(d) ? INFINITY : std::max(most, d);
  }
  return most;
}

inline double l2(const float* values, int64_t n, int64_t stride = 1) {
  double sum = 0;
  for (int64_t i = 0; i < n; i += stride) sum += double(values[i]) * values[i];
  return std::sqrt(sum);
}

}  // namespace graft::tests
