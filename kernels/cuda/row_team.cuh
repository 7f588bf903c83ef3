// Rows of a matrix, each done by a team: a warp where rows are short, a block where they are long
// or few. A team goes over its row as often as it needs; the first time it comes from memory, then
// from the first cache, as far as the rows of all teams of a multiprocessor fit there: those of
// eight blocks with some 16 kB each, those of 64 warps with some 2 kB.
//
//   row of x (rows, length)   thread 0, 1, ... kTeam - 1, 0, 1, ...       kWidth elements each
//   a sum over it             registers ──► tree of each warp ──► shared, warps in their order
//
// Bytes moved: with rows that fit, x once. Not yet run on a GPU.
#pragma once
#include "kernels/cuda/pack.cuh"

namespace graft::cuda {

constexpr int64_t kShortRow = 1024;  // elements: the longest that a warp does

template <int kTeam>  // threads: 32 or kBlock
struct RowTeam {
  static constexpr int kTeams = kBlock / kTeam;  // of a block

  struct Shared {
    float value[2][kTeam == 32 ? 1 : kBlock / 32];  // of a warp each; two sums in turn
  };

  Shared& shared;
  int64_t row;
  int thread;  // in the team
  int turn = 0;

  __device__ explicit RowTeam(Shared& shared)
      : shared(shared),
        row(int64_t(blockIdx.x) * kTeams + int(threadIdx.x) / kTeam),
        thread(int(threadIdx.x) % kTeam) {}

  // All threads of the team get the result. In a tree: the same bits every time, in every thread.
  template <class Combine>
  __device__ float reduce(float value, const Combine& combine) {
#pragma unroll
    for (int bit = 16; bit > 0; bit /= 2)
      value = combine(value, __shfl_xor_sync(0xffffffffu, value, bit));
    if constexpr (kTeam > 32) {
      constexpr int kWarps = kTeam / 32;
      float(&of_warp)[kWarps] = shared.value[turn];
      turn ^= 1;  // who is late still reads the last one
      if (thread % 32 == 0) of_warp[thread / 32] = value;
      __syncthreads();
      value = of_warp[0];
#pragma unroll
      for (int w = 1; w < kWarps; ++w) value = combine(value, of_warp[w]);
    }
    return value;
  }

  __device__ float sum(float value) {
    return reduce(value, [](float a, float b) { return a + b; });
  }
  __device__ float largest(float value) {
    return reduce(value, [](float a, float b) { return a > b ? a : b; });
  }

  // body(i): the elements [i, i + kWidth) of the row are the thread's; all are whole.
  template <int kWidth, class Body>
  __device__ void each(int64_t length, const Body& body) const {
    for (int64_t i = int64_t(thread) * kWidth; i < length; i += kTeam * kWidth) body(i);
  }
};

// f.run<W>(team) does the row team.row, W elements at a time.
template <int kTeam, int kWidth, class F>
__global__ void __launch_bounds__(kBlock) each_row(int64_t rows, const F f) {
  using Shared = typename RowTeam<kTeam>::Shared;
  GRAFT_SHARED(Shared, shared);
  RowTeam<kTeam> team(shared);
  if (team.row < rows) f.template run<kWidth>(team);  // a team is inside as a whole, or not
}

template <int kWide, class F>
void for_each_row(int64_t rows, int64_t length, bool vectors, const F& f, Stream stream) {
  if (rows <= 0 || length <= 0) return;
  with_width<kWide>(vectors && length % kWide == 0, [&](auto width) {
    auto start = [&](auto team) {
      using Team = RowTeam<team>;
      launch(each_row<team, width, F>,
             {dim3(unsigned((rows + Team::kTeams - 1) / Team::kTeams)), dim3(kBlock),
              sizeof(typename Team::Shared), stream},
             rows, f);
    };
    // Few rows leave most of the device idle unless a whole block works on each.
    if (length > kShortRow || (length > 256 && rows <= 512))
      start(std::integral_constant<int, kBlock>{});
    else
      start(std::integral_constant<int, 32>{});
  });
}

}  // namespace graft::cuda
