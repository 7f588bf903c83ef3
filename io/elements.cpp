#include "io/elements.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

namespace graft {
namespace {

static_assert(std::endian::native == std::endian::little, "files and memory are little-endian");

template <class From, class To>
void widen(const char* from, int64_t count, void* to) {
  for (int64_t i = 0; i < count; ++i) {
    From value;
    std::memcpy(&value, from + i * int64_t(sizeof(From)), sizeof(From));
    static_cast<To*>(to)[i] = static_cast<To>(value);
  }
}

constexpr Elements kElements[] = {
    {"F32", "FloatStorage", 4, DType::f32, nullptr},
    {"F16", "HalfStorage", 2, DType::f16, nullptr},
    {"BF16", "BFloat16Storage", 2, DType::bf16, nullptr},
    {"U8", "ByteStorage", 1, DType::u8, nullptr},
    {"I32", "IntStorage", 4, DType::i32, nullptr},
    {"I64", "LongStorage", 8, DType::i64, nullptr},
    {"BOOL", "BoolStorage", 1, DType::u8, nullptr},
    {"F64", "DoubleStorage", 8, DType::f32, widen<double, float>},
    {"I8", "CharStorage", 1, DType::i32, widen<int8_t, int32_t>},
    {"I16", "ShortStorage", 2, DType::i32, widen<int16_t, int32_t>},
    {"U16", nullptr, 2, DType::i32, widen<uint16_t, int32_t>},
    {"U32", nullptr, 4, DType::i64, widen<uint32_t, int64_t>},
};

template <class Matches>
const Elements* find(Matches matches) {
  const Elements* row = std::find_if(std::begin(kElements), std::end(kElements), matches);
  return row == std::end(kElements) ? nullptr : row;
}

}  // namespace

const Elements* elements_named(std::string_view name) {
  return find([&](const Elements& e) { return name == e.name; });
}

const Elements* elements_of_torch(std::string_view storage) {
  return find([&](const Elements& e) { return e.torch && storage == e.torch; });
}

const char* name_in_file(DType dtype) {
  return find([&](const Elements& e) { return e.dtype == dtype; })->name;
}

Tensor read_elements(ByteStream& bytes, const Elements& elements, Shape shape) {
  Tensor tensor(std::move(shape), elements.dtype);
  char* to = static_cast<char*>(tensor.mutable_raw());
  if (!elements.widen) {
    bytes.read(to, tensor.bytes());
    return tensor;
  }
  std::vector<char> piece(1 << 20);
  int64_t step = int64_t(piece.size() / elements.bytes);
  for (int64_t i = 0; i < tensor.size(); i += step) {
    int64_t n = std::min(step, tensor.size() - i);
    bytes.read(piece.data(), size_t(n) * elements.bytes);
    elements.widen(piece.data(), n, to + size_t(i) * size_of(tensor.dtype()));
  }
  return tensor;
}

}  // namespace graft
