// Warp functions: shuffles, votes, match, reductions. Each is a collective of the lanes in the
// mask.
#pragma once
#include <cstring>
#include <type_traits>

#include "tests/cusim/cusim.h"

namespace cusim {

using Where = std::source_location;
constexpr unsigned kWholeWarp = 0xffffffffu;

template <class T>
struct Exchange {
  T value;        // brought, and then taken
  unsigned from;  // lane
};

template <class T>
void exchange(void* const lanes[32], unsigned mask) {
  T brought[32];
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1) brought[l] = static_cast<Exchange<T>*>(lanes[l])->value;
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    auto* mine = static_cast<Exchange<T>*>(lanes[l]);
    if (!(mask >> mine->from & 1))
      fail("shuffle: lane %u reads lane %u, which is not in mask %08x", l, mine->from, mask);
    mine->value = brought[mine->from];
  }
}

// A lane that would read outside its group of `width` keeps its own value.
template <class T>
T shuffle(unsigned mask, T value, unsigned from, bool inside, const Where& at) {
  static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= 8);
  Exchange<T> mine{value, inside ? from : lane()};
  collective(mask, "shuffle", &exchange<T>, &mine, at);
  return mine.value;
}

struct Ballot {
  bool vote;
  unsigned result;
};
unsigned ballot(unsigned mask, bool vote, const char* name, const Where& at);

// The lanes of the mask whose value has the same bits.
unsigned match_any(unsigned mask, uint64_t bits, const Where& at);

enum class Reduction { add, min, max, and_, or_, xor_ };
template <class T>
struct Reduce {
  T value;
  Reduction how;
};

template <class T>
T combine(T a, T b, Reduction how) {
  switch (how) {
    case Reduction::add:
      return T(a + b);
    case Reduction::min:
      return b < a ? b : a;
    case Reduction::max:
      return a < b ? b : a;
    case Reduction::and_:
      return a & b;
    case Reduction::or_:
      return a | b;
    case Reduction::xor_:
      return a ^ b;
  }
  return a;
}

template <class T>
void reduce_lanes(void* const lanes[32], unsigned mask) {
  const Reduce<T>* first = nullptr;
  T result{};
  for (unsigned l = 0; l < 32; ++l) {
    if (!(mask >> l & 1)) continue;
    const auto* mine = static_cast<const Reduce<T>*>(lanes[l]);
    result = first ? combine(result, mine->value, first->how) : mine->value;
    if (!first) first = mine;
  }
  for (unsigned l = 0; l < 32; ++l)
    if (mask >> l & 1) static_cast<Reduce<T>*>(lanes[l])->value = result;
}

template <class T>
T reduce(unsigned mask, T value, Reduction how, const Where& at) {
  Reduce<T> mine{value, how};
  collective(mask, "__reduce_sync", &reduce_lanes<T>, &mine, at);
  return mine.value;
}

template <class T>
uint64_t bits_of(T value) {
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof value);
  return bits;
}

}  // namespace cusim

template <class T>
T __shfl_sync(unsigned mask, T v, int from, int width = 32,
              const cusim::Where& at = cusim::Where::current()) {
  const unsigned l = cusim::lane(), w = unsigned(width);
  return cusim::shuffle(mask, v, l / w * w + unsigned(from) % w, true, at);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T v, int bits, int width = 32,
                  const cusim::Where& at = cusim::Where::current()) {
  const unsigned l = cusim::lane(), w = unsigned(width), from = l ^ unsigned(bits);
  return cusim::shuffle(mask, v, from, from / w <= l / w, at);
}
template <class T>
T __shfl_down_sync(unsigned mask, T v, unsigned by, int width = 32,
                   const cusim::Where& at = cusim::Where::current()) {
  const unsigned l = cusim::lane(), w = unsigned(width);
  return cusim::shuffle(mask, v, l + by, l % w + by < w, at);
}
template <class T>
T __shfl_up_sync(unsigned mask, T v, unsigned by, int width = 32,
                 const cusim::Where& at = cusim::Where::current()) {
  const unsigned l = cusim::lane(), w = unsigned(width);
  return cusim::shuffle(mask, v, l - by, l % w >= by, at);
}
inline unsigned __ballot_sync(unsigned mask, int p,
                              const cusim::Where& at = cusim::Where::current()) {
  return cusim::ballot(mask, p != 0, "__ballot_sync", at);
}
inline int __any_sync(unsigned mask, int p, const cusim::Where& at = cusim::Where::current()) {
  return cusim::ballot(mask, p != 0, "__any_sync", at) != 0;
}
inline int __all_sync(unsigned mask, int p, const cusim::Where& at = cusim::Where::current()) {
  return cusim::ballot(mask, p != 0, "__all_sync", at) == mask;
}
inline void __syncwarp(unsigned mask = cusim::kWholeWarp,
                       const cusim::Where& at = cusim::Where::current()) {
  cusim::ballot(mask, false, "__syncwarp", at);
}
template <class T>
unsigned __match_any_sync(unsigned mask, T v, const cusim::Where& at = cusim::Where::current()) {
  return cusim::match_any(mask, cusim::bits_of(v), at);
}
template <class T>
unsigned __match_all_sync(unsigned mask, T v, int* all,
                          const cusim::Where& at = cusim::Where::current()) {
  *all = cusim::match_any(mask, cusim::bits_of(v), at) == mask;
  return *all ? mask : 0;
}

#define CUSIM_REDUCE(name, T, how)                                                      \
  inline T name(unsigned mask, T v, const cusim::Where& at = cusim::Where::current()) { \
    return cusim::reduce(mask, v, cusim::Reduction::how, at);                           \
  }
CUSIM_REDUCE(__reduce_add_sync, int, add)
CUSIM_REDUCE(__reduce_add_sync, unsigned, add)
CUSIM_REDUCE(__reduce_min_sync, int, min)
CUSIM_REDUCE(__reduce_min_sync, unsigned, min)
CUSIM_REDUCE(__reduce_max_sync, int, max)
CUSIM_REDUCE(__reduce_max_sync, unsigned, max)
CUSIM_REDUCE(__reduce_and_sync, unsigned, and_)
CUSIM_REDUCE(__reduce_or_sync, unsigned, or_)
CUSIM_REDUCE(__reduce_xor_sync, unsigned, xor_)
#undef CUSIM_REDUCE

inline unsigned __activemask() {
  cusim::fail("__activemask() is no set of lanes to rely on; name the mask");
}
