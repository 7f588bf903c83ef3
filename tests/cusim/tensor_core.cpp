#include "tests/cusim/tensor_core.h"

#include <bit>
#include <cstring>

#include "tests/cusim/cusim.h"
#include "tests/cusim/race.h"

namespace cusim {
namespace {

struct MatrixLoad {
  uint32_t* r;
  const void* row;
  bool transposed;
};

void whole_warp(const char* name, unsigned mask) {
  if (mask != 0xffffffffu) fail("%s needs the whole warp, not %08x", name, mask);
}

// Rows of one 8x8 matrix, given by the lanes 8 i ... 8 i + 7, that share a bank wait for each
// other.
void read_rows(void* const lanes[32], unsigned first, uint16_t (&matrix)[8][8]) {
  uint32_t banks = 0;  // in groups of 16 bytes
  for (unsigned row = 0; row < 8; ++row) {
    const void* p = static_cast<const MatrixLoad*>(lanes[first + row])->row;
    if (reinterpret_cast<uintptr_t>(p) % 16)
      fail("ldmatrix: row %u at %p is not 16-byte aligned", row, p);
    if (!is_shared(p, 16))
      fail("ldmatrix: row %u at %p is not in the block's shared memory", row, p);
    race::note(running() / 32 * 32 + first + row, p, 16, race::Access::read);
    std::memcpy(matrix[row], p, 16);
    const uint32_t bank = 1u << (reinterpret_cast<uintptr_t>(p) / 16 % 8);
    stats.bank_conflicts += (banks & bank) != 0;
    banks |= bank;
  }
}

void load_for_warp(void* const lanes[32], unsigned mask) {
  whole_warp("ldmatrix", mask);
  const bool transposed = static_cast<const MatrixLoad*>(lanes[0])->transposed;
  for (unsigned i = 0; i < 4; ++i) {
    uint16_t m[8][8];
    read_rows(lanes, 8 * i, m);
    for (unsigned l = 0; l < 32; ++l) {
      const unsigned g = l / 4, t = 2 * (l % 4);
      const uint16_t low = transposed ? m[t][g] : m[g][t];
      const uint16_t high = transposed ? m[t + 1][g] : m[g][t + 1];
      static_cast<const MatrixLoad*>(lanes[l])->r[i] = low | uint32_t(high) << 16;
    }
  }
}

struct Product {
  float* c;
  const uint32_t* a;
  uint32_t b[2];
};

float element_at(uint32_t word, int which, Element element) {
  if (element == Element::tf32) return std::bit_cast<float>(word & 0xffffe000u);
  const uint16_t half = uint16_t(word >> (16 * which));
  if (element == Element::bf16) return std::bit_cast<float>(uint32_t(half) << 16);
  return static_cast<float>(std::bit_cast<_Float16>(half));
}

// A lane's words hold kPer elements each, side by side in k: m16n8k16 two, m16n8k8 one.
template <Element kElement>
void multiply_for_warp(void* const lanes[32], unsigned mask) {
  whole_warp("mma", mask);
  constexpr int kPer = kElement == Element::tf32 ? 1 : 2, kDepth = 8 * kPer;
  float a[16][kDepth], b[8][kDepth];  // (m,k) and, transposed, (n,k)
  for (int l = 0; l < 32; ++l) {
    const auto* p = static_cast<const Product*>(lanes[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < kPer; ++i) {
      for (int r = 0; r < 4; ++r)
        a[g + 8 * (r & 1)][kPer * t + i + 4 * kPer * (r / 2)] = element_at(p->a[r], i, kElement);
      for (int r = 0; r < 2; ++r)
        b[g][kPer * t + i + 4 * kPer * r] = element_at(p->b[r], i, kElement);
    }
  }
  for (int l = 0; l < 32; ++l) {
    auto* p = static_cast<Product*>(lanes[l]);
    for (int e = 0; e < 4; ++e) {
      const float *row = a[l / 4 + 8 * (e / 2)], *column = b[2 * (l % 4) + e % 2];
      double sum = p->c[e];
      for (int k = 0; k < kDepth; ++k) sum += double(row[k]) * double(column[k]);
      p->c[e] = float(sum);
    }
  }
}

}  // namespace

void load_matrices(uint32_t (&r)[4], const void* row, bool transposed,
                   const std::source_location& at) {
  MatrixLoad mine{r, row, transposed};
  collective(0xffffffffu, transposed ? "ldmatrix.trans" : "ldmatrix", &load_for_warp, &mine, at);
}

void multiply(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, Element element,
              const std::source_location& at) {
  Product mine{c, a, {b0, b1}};
  const Collective compute = element == Element::bf16  ? &multiply_for_warp<Element::bf16>
                             : element == Element::f16 ? &multiply_for_warp<Element::f16>
                                                       : &multiply_for_warp<Element::tf32>;
  collective(0xffffffffu, "mma", compute, &mine, at);
}

}  // namespace cusim
