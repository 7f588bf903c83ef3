// A matrix in global memory as the tensor memory accelerator (TMA) of Hopper sees it: where it
// lies, and how large the boxes are that one instruction copies from it to shared memory. The
// driver encodes it on the host; a kernel gets it as a parameter, `const __grid_constant__
// TensorMap`, and hands it to ptx::copy_box_async. See "Tensors" in NVIDIA's PTX ISA.
//
// In shared memory a row of the box is 128 bytes, and chunk c of row r (16 bytes, eight a row) lies
// at place c XOR r % 8 of its row ("128-byte swizzle"), so that chunk c of eight rows is in eight
// different banks. Elements of the box that are not in the matrix become zero.
//
// Images (n, h, w, c) may be seen as the matrix that a convolution gathers from them ("im2col"). A
// row of it belongs to an output pixel: it is what one tap of the filter meets there, so many
// channels from a pixel's. `lower` is the source pixel that the lowest tap of output pixel 0 meets,
// along each side; outputs are counted through, columns first, then rows, then images:
//
//   source pixel of a box's row = lower + stride x output pixel + offset of the tap
//
// All that lies outside of the images, pixels and channels, is zero. Not yet run on a GPU.
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

struct BoxSide {  // of images, along height or width
  int size;       // of the source
  int lower, stride;
  int outputs;

  // Of the last output's lowest tap, counted from the source's last pixel.
  int upper() const { return lower + stride * (outputs - 1) - (size - 1); }
  bool encodable() const;  // what the copy engine has bits for
};

struct PixelBoxes {
  DType type;        // bf16 or f16
  const void* data;  // (images, h.size, w.size, channels), 16-byte aligned
  int images;
  BoxSide h, w;
  int channels;      // a multiple of 16 bytes
  int box_pixels;    // at most 256; a box has as many channels as 128 bytes hold
};

struct PixelBox {          // which one
  int image, row, column;  // source pixel that the lowest tap of its first output pixel meets
  int channel;
  int down, right;         // offset of its tap: 0 to kMostOffset
};

constexpr int kMostOffset = 255;
inline bool BoxSide::encodable() const {
  auto corner = [](int at) { return at >= -128 && at <= 127; };
  return corner(lower) && corner(upper()) && stride <= 8;
}

// They throw DeviceError where the driver refuses.
TensorMap encode(const TensorBoxes& boxes);
TensorMap encode(const PixelBoxes& boxes);

}  // namespace graft::cuda
