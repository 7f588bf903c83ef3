// Private to io/hdf5_*: which element types of HDF5 become which of ours.
// Kept: f32, f16, bf16 (2-byte floats, either byte order), u8, i32, i64. f64 is rounded to f32;
// i8, i16, u16 become i32; u32 becomes i64. Everything else (u64, compound, references) is refused.
// bf16 has no native type of HDF5 1.x: we store u16 with the attribute dtype = "bf16", Keras opaque
// bytes with "bfloat16"; io/hdf5_reader.cpp knows.
#pragma once
#include <optional>

#include "io/hdf5_driver.h"
#include "kernels/dtype.h"

namespace graft::hdf5 {

struct Element {
  DType dtype;   // in memory
  hid_t memory;  // as the library knows it; not to be closed
};

std::optional<Element> element_of(hid_t file_type);
hid_t stored_type(DType dtype);  // in files of ours, and the same in memory; not to be closed

}  // namespace graft::hdf5
