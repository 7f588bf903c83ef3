// How the elements of tensors in files become elements in memory.
// F32, F16, BF16, U8, I32, I64 are kept; F64 is rounded to f32; BOOL becomes u8; I8, I16, U16
// become i32; U32 becomes i64. Others (U64, F8_*, complex, quantised) have no row here.
#pragma once
#include <string_view>

#include "core/tensor.h"
#include "io/byte_stream.h"

namespace graft {

struct Elements {
  const char* name;                                          // in safetensors
  const char* torch;                                         // the storage's class; null: none
  size_t bytes;                                              // of one in the file
  DType dtype;                                               // in memory
  void (*widen)(const char* from, int64_t count, void* to);  // null when they are the same
};

const Elements* elements_named(std::string_view name);        // "F32"; null when unknown
const Elements* elements_of_torch(std::string_view storage);  // "FloatStorage"
const char* name_in_file(DType dtype);                        // "F32"

// The next elements of the stream as a tensor of this shape.
Tensor read_elements(ByteStream& bytes, const Elements& elements, Shape shape);

}  // namespace graft
