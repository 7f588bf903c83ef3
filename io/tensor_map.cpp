#include "io/tensor_map.h"

#include "io/sha256.h"
#include "io/source_file.h"

namespace graft {
namespace {

// Elements whose exponent bits are all ones. A plain sum, so that it vectorises.
template <class Bits>
int64_t count_exponent(const Tensor& t, Bits exponent) {
  const Bits* bits = static_cast<const Bits*>(t.raw());
  int64_t count = 0;
  for (int64_t i = 0, n = t.size(); i < n; ++i) count += (bits[i] & exponent) == exponent;
  return count;
}

}  // namespace

std::string sha256_of(const Tensor& tensor) { return sha256(tensor.raw(), tensor.bytes()); }

int64_t count_nonfinite(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::f32:
      return count_exponent<uint32_t>(tensor, 0x7f800000u);
    case DType::bf16:
      return count_exponent<uint16_t>(tensor, 0x7f80);
    case DType::f16:
      return count_exponent<uint16_t>(tensor, 0x7c00);
    default:
      return 0;
  }
}

std::vector<std::string> nonfinite(const TensorMap& tensors) {
  std::vector<std::string> bad;
  for (const auto& [name, tensor] : tensors)
    if (int64_t count = count_nonfinite(tensor))
      bad.push_back(fmt::format("{}: {} of {}", escaped(name), count, tensor.size()));
  return bad;
}

void require_finite(const TensorMap& tensors, const std::string& file) {
  std::vector<std::string> bad = nonfinite(tensors);
  GRAFT_CHECK(bad.empty(),
              "{}: values that are NaN or infinite; get the file again, or take it as it is with "
              "--allow-nonfinite:\n  {}",
              escaped(file), fmt::join(bad, "\n  "));
}

}  // namespace graft
