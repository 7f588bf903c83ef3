#include "io/hdf5_types.h"

#include <vector>

namespace graft::hdf5 {
namespace {

// A 2-byte float with `mantissa` bits, made from a 4-byte one of the same byte order.
hid_t small_float(hid_t base, size_t mantissa) {
  size_t exponent = 15 - mantissa;
  hid_t type = H5Tcopy(base);
  H5Tset_fields(type, 15, mantissa, exponent, 0, mantissa);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, (size_t(1) << (exponent - 1)) - 1);
  return type;
}

hid_t half() {
  static const hid_t type = small_float(H5T_IEEE_F32LE, 10);
  return type;
}

struct Row {
  hid_t file;
  Element element;
};

const std::vector<Row>& rows() {
  static const hid_t brain = small_float(H5T_IEEE_F32LE, 7);
  static const Element f32{DType::f32, H5T_NATIVE_FLOAT}, i32{DType::i32, H5T_NATIVE_INT32},
      i64{DType::i64, H5T_NATIVE_INT64}, u8{DType::u8, H5T_NATIVE_UINT8}, f16{DType::f16, half()},
      bf16{DType::bf16, brain};
  static const std::vector<Row> table = {
      {H5T_IEEE_F32LE, f32}, {H5T_IEEE_F32BE, f32}, {H5T_IEEE_F64LE, f32}, {H5T_IEEE_F64BE, f32},
      {half(), f16}, {small_float(H5T_IEEE_F32BE, 10), f16},
      {brain, bf16}, {small_float(H5T_IEEE_F32BE, 7), bf16},
      {H5T_STD_U8LE, u8}, {H5T_STD_U8BE, u8}, {H5T_STD_I8LE, i32}, {H5T_STD_I8BE, i32},
      {H5T_STD_I16LE, i32}, {H5T_STD_I16BE, i32}, {H5T_STD_U16LE, i32}, {H5T_STD_U16BE, i32},
      {H5T_STD_I32LE, i32}, {H5T_STD_I32BE, i32}, {H5T_STD_U32LE, i64}, {H5T_STD_U32BE, i64},
      {H5T_STD_I64LE, i64}, {H5T_STD_I64BE, i64}};
  return table;
}

}  // namespace

std::optional<Element> element_of(hid_t file_type) {
  for (const Row& row : rows())
    if (H5Tequal(row.file, file_type) > 0) return row.element;
  return {};
}

hid_t stored_type(DType dtype) {
  switch (dtype) {
    case DType::f32: return H5T_IEEE_F32LE;
    case DType::bf16: return H5T_STD_U16LE;
    case DType::f16: return half();
    case DType::u8: return H5T_STD_U8LE;
    case DType::i32: return H5T_STD_I32LE;
    case DType::i64: return H5T_STD_I64LE;
  }
  return -1;
}

}  // namespace graft::hdf5
