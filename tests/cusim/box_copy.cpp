#include "tests/cusim/box_copy.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "kernels/runtime.h"
#include "tests/cusim/cluster.h"
#include "tests/cusim/cusim.h"
#include "tests/cusim/mbarrier.h"
#include "tests/cusim/race.h"
#include "tests/cusim/shared_arena.h"
#include "tests/cusim/spans.h"

namespace cusim {
namespace {

constexpr uint64_t kMark = 0x74656e736f726d70;
constexpr int kRowBytes = 128, kChunk = 16;

struct Map {  // what the bits of a TensorMap are here
  uint64_t mark;
  const char* data;
  int64_t rows, columns, stride;  // bytes from row to row
  int box_rows, size;             // bytes of an element
};
static_assert(sizeof(Map) <= sizeof(graft::cuda::TensorMap));

struct BoxCopy {
  char* to;
  Map map;
  int row, column;
  uint64_t* barrier;
  unsigned thread, actor = 0;
  spans::Span* span = nullptr;
};
std::deque<BoxCopy> under_way;

// `chunk` of the box's row -> 16 bytes at `to`, with zeros outside the matrix.
void copy_chunk(char* to, const BoxCopy& c, int row, int chunk) {
  const int64_t r = int64_t(c.row) + row, per = kChunk / c.map.size;
  const int64_t first = c.column + chunk * per;
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

Map map_of(const graft::cuda::TensorMap& bits) {
  Map map;
  std::memcpy(&map, &bits, sizeof map);
  if (map.mark != kMark) fail("box copy: its map has not been encoded");
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

}  // namespace

void copy_box_to_blocks(void* shared, const graft::cuda::TensorMap& bits, int row, int column,
                        uint64_t* barrier, uint32_t blocks) {
  if (!blocks || blocks >> kMostBlocks) fail("box copy to blocks %x of the cluster", blocks);
  for (unsigned of = 0; of < kMostBlocks; ++of) {
    if (!(blocks >> of & 1)) continue;
    check_alive(of, "box copy");
    start_copy(of, {.to = static_cast<char*>(in_block(shared, of)),
                    .map = map_of(bits),
                    .row = row,
                    .column = column,
                    .barrier = static_cast<uint64_t*>(in_block(barrier, of)),
                    .thread = running()});
  }
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

TensorMap encode(const TensorBoxes& b) {
  constexpr int64_t kMostSize = int64_t(1) << 32, kMostStride = int64_t(1) << 40;
  const auto size = int64_t(size_of(b.type)), stride = b.stride * size;
  auto fits = [](int64_t value, int64_t most) { return value >= 1 && value <= most; };
  if (!b.data || reinterpret_cast<uintptr_t>(b.data) % 16 || stride % 16 ||
      !fits(stride, kMostStride - 1) || !fits(b.rows, kMostSize) || !fits(b.columns, kMostSize) ||
      !fits(b.box_rows, 256))
    throw DeviceError("cuTensorMapEncodeTiled: invalid argument", 1, false);
  const cusim::Map map{
      cusim::kMark, static_cast<const char*>(b.data), b.rows, b.columns, stride, b.box_rows,
      int(size)};
  TensorMap bits{};
  std::memcpy(&bits, &map, sizeof map);
  return bits;
}

}  // namespace graft::cuda
