#include "tests/cusim/box_copy.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "kernels/runtime.h"
#include "tests/cusim/cluster.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/mbarrier.h"
#include "tests/cusim/race.h"
#include "tests/cusim/runtime_sim.h"
#include "tests/cusim/shared_arena.h"
#include "tests/cusim/spans.h"

namespace cusim {
namespace {

constexpr uint64_t kMatrix = 0x74656e736f726d70, kImages = 0x74656e736f726d71;
constexpr int kRowBytes = 128, kChunk = 16;

struct Gather {  // of images, whose pixels are the rows of the matrix
  int images;
  graft::cuda::BoxSide h, w;
};

struct Map {      // what the bits of a TensorMap are here
  uint64_t mark;  // kMatrix or kImages
  const char* data;
  int64_t rows, columns, stride;  // bytes from row to row
  int box_rows, size;             // bytes of an element
  Gather gather;                  // of kImages
};
static_assert(sizeof(Map) <= sizeof(graft::cuda::TensorMap));

struct BoxCopy {
  char* to;
  Map map;
  int row, column;              // of kMatrix
  graft::cuda::PixelBox pixels;  // of kImages
  uint64_t* barrier;
  unsigned thread, actor = 0;
  spans::Span* span = nullptr;
};
std::deque<BoxCopy> under_way;

// Which output along a side the lowest tap meets source pixel `at` for.
int output_of(const graft::cuda::BoxSide& side, int at, const char* which) {
  const int steps = (at - side.lower) / side.stride;
  if (at < side.lower || (at - side.lower) % side.stride || steps >= side.outputs)
    fail("box copy of pixels from %s %d: no output meets it", which, at);
  return steps;
}

// The matrix's row that row `row` of the box is; -1 outside of the images.
int64_t gathered_row(const BoxCopy& c, int row) {
  const Gather& g = c.map.gather;
  int64_t i = output_of(g.h, c.pixels.row, "row") * int64_t(g.w.outputs) +
              output_of(g.w, c.pixels.column, "column") + row;
  const int64_t image = c.pixels.image + i / (int64_t(g.h.outputs) * g.w.outputs);
  i %= int64_t(g.h.outputs) * g.w.outputs;
  const int64_t h = g.h.lower + i / g.w.outputs * g.h.stride + c.pixels.down;
  const int64_t w = g.w.lower + i % g.w.outputs * g.w.stride + c.pixels.right;
  const bool inside =
      image >= 0 && image < g.images && h >= 0 && h < g.h.size && w >= 0 && w < g.w.size;
  return inside ? (image * g.h.size + h) * g.w.size + w : -1;
}

// `chunk` of the box's row -> 16 bytes at `to`, with zeros outside the matrix.
void copy_chunk(char* to, const BoxCopy& c, int row, int chunk) {
  const bool images = c.map.mark == kImages;
  const int64_t r = images ? gathered_row(c, row) : int64_t(c.row) + row, per = kChunk / c.map.size;
  const int64_t first = (images ? c.pixels.channel : c.column) + chunk * per;
  std::memset(to, 0, kChunk);
  if (r < 0 || r >= c.map.rows) return;
  const int64_t begin = std::max<int64_t>(first, 0), end = std::min(first + per, c.map.columns);
  if (begin >= end) return;
  const char* from = c.map.data + r * c.map.stride + begin * c.map.size;
  const auto bytes = size_t((end - begin) * c.map.size);
  race::note(c.thread, from, bytes, race::Access::read);
  std::memcpy(to + (begin - first) * c.map.size, from, bytes);
}

void land(const BoxCopy& c) {
  for (int row = 0; row < c.map.box_rows; ++row)
    for (int chunk = 0; chunk < kRowBytes / kChunk; ++chunk)
      copy_chunk(c.to + row * kRowBytes + (chunk ^ row % 8) * kChunk, c, row, chunk);
  const int bytes = c.map.box_rows * kRowBytes;
  race::note(c.actor * 32, c.to, size_t(bytes), race::Access::arrival);
  spans::finish(c.span);
  bytes_have_come(c.barrier, bytes);
}

Map map_of(const graft::cuda::TensorMap& bits, uint64_t mark) {
  Map map;
  std::memcpy(&map, &bits, sizeof map);
  if (map.mark != mark) fail("box copy: its map has not been encoded, or for copies of another kind");
  return map;
}

// To one block of the cluster.
void start_copy(unsigned of, BoxCopy copy) {
  const auto bytes = size_t(copy.map.box_rows * kRowBytes);
  const void* to = copy.to;
  if (reinterpret_cast<uintptr_t>(to) % 1024)
    fail("box copy to %p: not 1024-byte aligned, as its swizzle wants", to);
  if (!is_shared(to, bytes, of)) fail("box copy to %p, not the block's shared memory", to);
  copy.actor = copies_of(copy.barrier, of);
  copy.span = spans::begin_copy(to, bytes, copy.actor);
  race::note(running(), to, bytes, race::Access::write);
  std::memset(copy.to, 0xff, bytes);
  under_way.push_back(copy);
  if (!config.late_copies) land_copies(copy.barrier);
}

// The same copy to the same place of several blocks.
void start_copies(void* shared, uint64_t* barrier, uint32_t blocks, BoxCopy copy) {
  if (!blocks || blocks >> kMostBlocks) fail("box copy to blocks %x of the cluster", blocks);
  copy.thread = running();
  for (unsigned of = 0; of < kMostBlocks; ++of) {
    if (!(blocks >> of & 1)) continue;
    check_alive(of, "box copy");
    copy.to = static_cast<char*>(in_block(shared, of));
    copy.barrier = static_cast<uint64_t*>(in_block(barrier, of));
    start_copy(of, copy);
  }
}

}  // namespace

void copy_box_to_blocks(void* shared, const graft::cuda::TensorMap& bits, int row, int column,
                        uint64_t* barrier, uint32_t blocks) {
  BoxCopy copy{};
  copy.map = map_of(bits, kMatrix);
  copy.row = row, copy.column = column;
  start_copies(shared, barrier, blocks, copy);
}

void copy_pixels_to_blocks(void* shared, const graft::cuda::TensorMap& bits,
                           const graft::cuda::PixelBox& from, uint64_t* barrier, uint32_t blocks) {
  constexpr int kMost = graft::cuda::kMostOffset;
  if (from.down < 0 || from.right < 0 || from.down > kMost || from.right > kMost)
    fail("box copy of pixels with the offset %d, %d", from.down, from.right);
  BoxCopy copy{};
  copy.map = map_of(bits, kImages);
  copy.pixels = from;
  start_copies(shared, barrier, blocks, copy);
}

void copy_pixels_async(void* shared, const graft::cuda::TensorMap& map,
                       const graft::cuda::PixelBox& from, uint64_t* barrier) {
  copy_pixels_to_blocks(shared, map, from, barrier, 1u << rank());
}

void copy_box_async(void* shared, const graft::cuda::TensorMap& map, int row, int column,
                    uint64_t* barrier) {
  copy_box_to_blocks(shared, map, row, column, barrier, 1u << rank());
}

void land_copies(const uint64_t* barrier) {
  for (size_t i = 0; i < under_way.size();) {
    if (under_way[i].barrier != barrier) {
      ++i;
      continue;
    }
    const BoxCopy c = under_way[i];
    under_way.erase(under_way.begin() + std::ptrdiff_t(i));
    land(c);
  }
}

void forget_box_copies() { under_way.clear(); }
void check_no_box_copy_under_way() {
  if (!under_way.empty()) fail("the block ends with a box copy that nobody has waited for");
}

}  // namespace cusim

namespace graft::cuda {
namespace {

constexpr int64_t kMostSize = int64_t(1) << 32, kMostStride = int64_t(1) << 40;
bool fits(int64_t value, int64_t most) { return value >= 1 && value <= most; }

TensorMap bits_of(const cusim::Map& map) {
  TensorMap bits{};
  std::memcpy(&bits, &map, sizeof map);
  return bits;
}

}  // namespace

TensorMap encode(const TensorBoxes& b) {
  const auto size = int64_t(size_of(b.type)), stride = b.stride * size;
  if (!sim::encodes_tensor_maps() || !b.data || reinterpret_cast<uintptr_t>(b.data) % 16 || stride % 16 ||
      !fits(stride, kMostStride - 1) || !fits(b.rows, kMostSize) || !fits(b.columns, kMostSize) ||
      !fits(b.box_rows, 256))
    throw DeviceError("cuTensorMapEncodeTiled: invalid argument", 1, false);
  return bits_of({cusim::kMatrix, static_cast<const char*>(b.data), b.rows, b.columns, stride,
                  b.box_rows, int(size), {}});
}

TensorMap encode(const PixelBoxes& b) {
  const auto size = int64_t(size_of(b.type)), stride = b.channels * size;
  const int64_t rows = int64_t(b.images) * b.h.size * b.w.size;
  auto side_fits = [](const BoxSide& s) {
    return fits(s.size, kMostSize) && s.outputs >= 1 && s.stride >= 1 && s.encodable();
  };
  if (!sim::encodes_tensor_maps() || !b.data || reinterpret_cast<uintptr_t>(b.data) % 16 || stride % 16 ||
      !fits(stride, kMostStride - 1) || b.images < 1 || !side_fits(b.h) || !side_fits(b.w) ||
      !fits(b.box_pixels, 256) || size != 2)
    throw DeviceError("cuTensorMapEncodeIm2col: invalid argument", 1, false);
  return bits_of({cusim::kImages, static_cast<const char*>(b.data), rows, b.channels, stride,
                  b.box_pixels, int(size), {b.images, b.h, b.w}});
}

}  // namespace graft::cuda
