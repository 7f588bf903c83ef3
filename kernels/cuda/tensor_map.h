// A matrix in global memory as the tensor memory accelerator (TMA) of Hopper sees it: where it
// lies, and how large the boxes are that one instruction copies from it to shared memory. The
// driver encodes it on the host; a kernel gets it as a parameter, `const __grid_constant__
// TensorMap`, and hands it to ptx::copy_box_async. See "Tensors" in NVIDIA's PTX ISA.
//
// In shared memory a row of the box is 128 bytes, and chunk c of row r (16 bytes, eight a row) lies
// at place c XOR r % 8 of its row ("128-byte swizzle"), so that chunk c of eight rows is in eight
// different banks. Elements of the box that are not in the matrix become zero. Not yet run on a GPU.
#pragma once
#include "kernels/dtype.h"

namespace graft::cuda {

struct alignas(128) TensorMap {
  unsigned char bits[128];  // the driver's secret
};

struct TensorBoxes {
  DType type;             // bf16, f16 or f32
  const void* data;       // (rows, columns), 16-byte aligned
  int64_t rows, columns;  // at least 1
  int64_t stride;         // elements from row to row: a multiple of 16 bytes
  int box_rows;           // at most 256; a box has as many columns as 128 bytes hold
};

TensorMap encode(const TensorBoxes& boxes);  // throws DeviceError where the driver refuses

}  // namespace graft::cuda
