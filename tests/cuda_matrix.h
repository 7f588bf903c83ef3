// Matrices of any element type in device memory, for tests.
#pragma once
#include <cstring>
#include <limits>
#include <memory>
#include <random>

#include "kernels/dtype.h"
#include "tests/cuda_array.h"

namespace graft::cuda {

struct Matrix {
  DType type;
  int64_t rows, columns, stride;
  std::vector<float> values;  // (rows, stride), what the bits mean; NaN between the rows
  std::unique_ptr<Array<uint8_t>> bytes;
  size_t offset;  // bytes

  void* data() const { return bytes->data(); }
  float at(int64_t row, int64_t column) const { return values[size_t(row * stride + column)]; }
};

template <class T>
void put(std::vector<uint8_t>& bytes, size_t i, T value) {
  std::memcpy(bytes.data() + i * sizeof(T), &value, sizeof(T));
}

inline std::vector<uint8_t> encode(const std::vector<float>& values, DType type) {
  std::vector<uint8_t> bytes(values.size() * size_of(type));
  for (size_t i = 0; i < values.size(); ++i) {
    if (type == DType::bf16)
      put(bytes, i, bf16(values[i]));
    else if (type == DType::f16)
      put(bytes, i, f16(values[i]));
    else
      put(bytes, i, values[i]);
  }
  return bytes;
}

inline float decode(const std::vector<uint8_t>& bytes, size_t i, DType type) {
  auto get = [&]<class T>(T value) {
    std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
    return float(value);
  };
  return type == DType::bf16 ? get(bf16()) : type == DType::f16 ? get(f16()) : get(0.0f);
}

inline Matrix matrix(DType type, int64_t rows, int64_t columns, int64_t stride, size_t offset,
                     uint32_t seed) {
  Matrix m{type, rows, columns, stride, {}, nullptr, offset * size_of(type)};
  std::mt19937 random(seed);
  // The last row has no padding: the array ends with its last element.
  m.values.assign(size_t((rows - 1) * stride + columns), std::numeric_limits<float>::quiet_NaN());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c)
      m.values[size_t(r * stride + c)] = float(int(random() % 9) - 4);
  m.bytes = std::make_unique<Array<uint8_t>>(encode(m.values, type), m.offset);
  return m;
}

}  // namespace graft::cuda
