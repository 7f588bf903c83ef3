#include "tests/cusim/wgmma.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <deque>
#include <list>
#include <vector>

#include "tests/cusim/cusim.h"
#include "tests/cusim/race.h"
#include "tests/cusim/shared_arena.h"
#include "tests/cusim/spans.h"

namespace cusim {
namespace {

constexpr unsigned kAll = 0xffffffffu;
constexpr uint32_t kNaN = 0xffffffffu;  // what sums read as

struct Sums {    // the registers of a warp that products add to
  float* c[32];  // of each lane, (count)
  int count;
  int running = 0;                     // products
  std::vector<float> values[32] = {};  // what c is, or will be when none is running
};

struct Product {
  ProductOf what;
  Sums* sums;
  spans::Span *a, *b;
};

struct Warp {
  std::vector<Product> open;
  std::deque<std::vector<Product>> committed;
  std::list<Sums> sums;
  bool fenced = false;  // since the last product was started
  size_t started = 0;   // products
  int resized = 0;      // times that it has given registers back or taken some

  bool untouched() const { return committed.empty() && !fenced && !started && !resized; }
};
constexpr unsigned kWarps = kMostBlocks * kMostThreads / 32;
Warp warps[kWarps];
std::vector<ProductOf> started[kWarps / 4];  // of each warpgroup, in order

Warp& mine() { return warps[warp()]; }

// ---- where the elements of a factor are

struct Factor {
  uint32_t start, eight_rows, next_column;  // bytes; start is an offset in shared memory
  bool outer_contiguous;
  int outer;

  Factor(uint64_t descriptor, bool outer_contiguous, int outer)
      : start(uint32_t(descriptor & 0x3fff) << 4),
        eight_rows(uint32_t(descriptor >> 32 & 0x3fff) << 4),
        next_column(uint32_t(descriptor >> 16 & 0x3fff) << 4),
        outer_contiguous(outer_contiguous),
        outer(outer) {
    if (descriptor >> 62 != 1 || descriptor & 0x3fffc000c000c000)
      fail("wgmma: descriptor %016llx: not the swizzle of 128 bytes, or bits that mean nothing",
           static_cast<unsigned long long>(descriptor));
    if (start % 1024 >= 128 || (outer_contiguous && start % 128) || eight_rows % 1024 ||
        (outer_contiguous && outer > 64 && next_column % 1024))
      fail("wgmma: a matrix at %u begins within the pattern of its swizzle", start);
  }

  // Eight elements that lie side by side: `line` is an index of the contiguous dimension's rows.
  uint32_t chunk(int line, int chunk_of_line) const {
    const uint32_t columns = outer_contiguous ? uint32_t(chunk_of_line / 8) * next_column : 0;
    const uint32_t within = uint32_t(outer_contiguous ? chunk_of_line % 8 : chunk_of_line) * 16;
    const uint32_t at =
        start + columns + uint32_t(line / 8) * eight_rows + uint32_t(line % 8) * 128 + within;
    return at ^ (at >> 3 & 0x70);
  }
  uint32_t element(int o, int k) const {
    return outer_contiguous ? chunk(k, o / 8) + uint32_t(o % 8) * 2
                            : chunk(o, k / 8) + uint32_t(k % 8) * 2;
  }

  template <class Each>
  void each_chunk(const Each& each) const {
    const int lines = outer_contiguous ? 16 : outer, chunks = outer_contiguous ? outer / 8 : 2;
    for (int line = 0; line < lines; ++line)
      for (int c = 0; c < chunks; ++c) each(chunk(line, c));
  }
};

spans::Span* begin_reading(const Factor& f) {
  uint32_t first = UINT32_MAX, last = 0;
  f.each_chunk([&](uint32_t at) { first = std::min(first, at), last = std::max(last, at); });
  if (!is_shared(shared_at(first), last + 16 - first))
    fail("wgmma reads bytes %u to %u of shared memory, more than there are", first, last + 16);
  spans::Span* span = spans::begin_product(shared_at(first), last + 16 - first);
  f.each_chunk(
      [&](uint32_t at) { race::note(warp() * 32, shared_at(at), 16, race::Access::operand); });
  return span;
}

float value_at(uint32_t offset, bool is_bf16) {
  uint16_t bits;
  std::memcpy(&bits, shared_at(offset), 2);
  return is_bf16 ? std::bit_cast<float>(uint32_t(bits) << 16)
                 : static_cast<float>(std::bit_cast<_Float16>(bits));
}

// ---- the sums

bool all_lanes(const Sums& s, bool (*holds)(const Sums& s, int lane)) {
  for (int lane = 0; lane < 32; ++lane)
    if (!holds(s, lane)) return false;
  return true;
}

bool reads_as_nan(const Sums& s, int lane) {
  return std::all_of(s.c[lane], s.c[lane] + s.count,
                     [](float x) { return std::bit_cast<uint32_t>(x) == kNaN; });
}
bool unchanged(const Sums& s, int lane) {
  return !std::memcmp(s.c[lane], s.values[lane].data(), size_t(s.count) * sizeof(float));
}

Sums& sums_at(Warp& warp, float* const (&c)[32], int count) {
  for (Sums& s : warp.sums)
    if (s.count == count && std::equal(c, c + 32, s.c)) return s;
  if (!warp.fenced) fail("wgmma: no wgmma_fence() before the first product");
  Sums& fresh = warp.sums.emplace_back();
  std::copy(c, c + 32, fresh.c);
  fresh.count = count;
  return fresh;
}

// Products are about to add to the sums.
void take(Sums& s, bool fenced) {
  if (s.running && !all_lanes(s, reads_as_nan))
    fail("wgmma: sums were written while products were adding to them");
  if (!s.running) {
    if (!fenced && !all_lanes(s, unchanged))
      fail("wgmma: no wgmma_fence() since the sums' registers were written");
    for (int lane = 0; lane < 32; ++lane) {
      s.values[lane].assign(s.c[lane], s.c[lane] + s.count);
      std::memset(s.c[lane], 0xff, size_t(s.count) * sizeof(float));
    }
  }
  ++s.running;
}

void give_back(Sums& s) {
  if (--s.running) return;
  if (!all_lanes(s, reads_as_nan))
    fail("wgmma: sums were written while products were adding to them");
  for (int lane = 0; lane < 32; ++lane)
    std::copy(s.values[lane].begin(), s.values[lane].end(), s.c[lane]);
}

// The 16 rows that warp `warp` of the warpgroup has.
void multiply(const Product& p, int warp) {
  const Factor a(p.what.a, p.what.outer_a, 64), b(p.what.b, p.what.outer_b, p.what.columns);
  float rows[16][16], columns[256][16];  // (m,k) and (n,k)
  for (int k = 0; k < 16; ++k) {
    for (int m = 0; m < 16; ++m) rows[m][k] = value_at(a.element(16 * warp + m, k), p.what.is_bf16);
    for (int n = 0; n < p.what.columns; ++n)
      columns[n][k] = value_at(b.element(n, k), p.what.is_bf16);
  }
  for (int lane = 0; lane < 32; ++lane)
    for (int e = 0; e < p.sums->count; ++e) {
      const float* row = rows[lane / 4 + e / 2 % 2 * 8];
      const float* column = columns[e / 4 * 8 + lane % 4 * 2 + e % 2];
      double sum = p.sums->values[lane][size_t(e)];
      for (int k = 0; k < 16; ++k) sum += double(row[k]) * double(column[k]);
      p.sums->values[lane][size_t(e)] = float(sum);
    }
}

// ---- the instructions, once for each warp

struct Start {
  float* c;
  ProductOf what;
};

// The four warps of a group start the same products in the same order.
void check_with_group(Warp& warp, const ProductOf& what) {
  auto& of_group = started[running() / 128];
  const unsigned end =
      running() % kMostThreads / 128 * 128 + 128;  // of the warpgroup, in its block
  if (place.block_size.x * place.block_size.y * place.block_size.z < end)
    fail("wgmma: the warpgroup has not four warps");
  if (warp.started == of_group.size()) of_group.push_back(what);
  if (of_group[warp.started++] != what) fail("wgmma: warps of a group start different products");
}

void start_for_warp(void* const lanes[32], unsigned mask) {
  if (mask != kAll) fail("wgmma needs the whole warp, not %08x", mask);
  const ProductOf& what = static_cast<const Start*>(lanes[0])->what;
  float* c[32];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* start = static_cast<const Start*>(lanes[lane]);
    c[lane] = start->c;
    if (start->what != what) fail("wgmma: lanes of a warp start different products");
  }
  Warp& warp = mine();
  check_with_group(warp, what);
  Sums& sums = sums_at(warp, c, what.columns / 2);
  take(sums, warp.fenced);
  warp.fenced = false;
  warp.open.push_back({what, &sums, begin_reading({what.a, what.outer_a, 64}),
                       begin_reading({what.b, what.outer_b, what.columns})});
}

void fence_for_warp(void* const[32], unsigned) { mine().fenced = true; }

void commit_for_warp(void* const[32], unsigned) {
  mine().committed.push_back(std::move(mine().open));
  mine().open.clear();
}

void wait_for_warp(void* const lanes[32], unsigned) {
  Warp& warp = mine();
  for (const int left = *static_cast<const int*>(lanes[0]); warp.committed.size() > size_t(left);
       warp.committed.pop_front())
    for (const Product& p : warp.committed.front()) {
      multiply(p, int(cusim::warp() % 4));
      give_back(*p.sums);
      spans::finish(p.a);
      spans::finish(p.b);
    }
}

void set_for_warp(void* const[32], unsigned) { ++mine().resized; }

}  // namespace

void start_product(float* c, const ProductOf& what, const std::source_location& at) {
  Start start{c, what};
  collective(kAll, "wgmma", &start_for_warp, &start, at);
}
void fence_sums(const std::source_location& at) {
  collective(kAll, "wgmma.fence", &fence_for_warp, nullptr, at);
}
void commit_products(const std::source_location& at) {
  collective(kAll, "wgmma.commit_group", &commit_for_warp, nullptr, at);
}
void wait_products(int groups_left, const std::source_location& at) {
  collective(kAll, "wgmma.wait_group", &wait_for_warp, &groups_left, at);
}
void set_registers(const std::source_location& at) {
  collective(kAll, "setmaxnreg", &set_for_warp, nullptr, at);
}

uint64_t matrix_descriptor(const void* start, int eight_rows, int next_column) {
  return uint64_t(shared_offset(start)) >> 4 | uint64_t(next_column) >> 4 << 16 |
         uint64_t(eight_rows) >> 4 << 32 | uint64_t(1) << 62;
}

void forget_products() {
  for (Warp& warp : warps)
    if (!warp.untouched()) warp = {};
  for (auto& of_group : started) of_group.clear();
}

void check_no_product_under_way() {
  for (unsigned i = 0; i < kWarps; ++i) {
    bool any = !warps[i].open.empty();
    for (const auto& group : warps[i].committed) any |= !group.empty();
    if (any) fail("warp %u ends with a wgmma that it has not waited for", i);
    if (warps[i].resized != warps[i / 4 * 4].resized)
      fail("setmaxnreg: not by all warps of warp %u's group", i);
    if (warps[i].started != started[i / 4].size())
      fail("wgmma: warps of a group started %zu and %zu products", warps[i].started,
           started[i / 4].size());
  }
}

}  // namespace cusim
