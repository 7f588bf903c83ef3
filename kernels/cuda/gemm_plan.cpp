// The model of time of gemm_plan.h: waves of blocks, each with some clocks until its first product
// and then its products, and what a split of k costs besides. Not yet held against a GPU.
#include "kernels/cuda/gemm_plan.h"

#include <algorithm>
#include <limits>

namespace graft::cuda {
namespace {

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Multiply-adds per clock of one multiprocessor: A100's, of its white paper. H100 has twice as many
// of each kind, and is planned for as if it had not. Tiles and splits of one product have all the
// same peak: what it decides is how the products' clocks compare with the constants below.
double peak(GemmMath math) {
  switch (math) {
    case GemmMath::f32:
      return 64;
    case GemmMath::tf32:
      return 512;
    case GemmMath::bf16:
    case GemmMath::f16:
      return 1024;
  }
  return 1;
}

// Absolute, the same for every device, and guesses: splits and smaller tiles are taken where these
// say that it pays. A device with another clock, memory or driver has others.
constexpr double kFill = 1500;           // clocks from a block's start until its first product
constexpr double kLaunch = 4000;         // clocks that one more kernel costs
constexpr double kBytesPerClock = 1000;  // of the whole device's memory
constexpr int kMostSplits = 16;

// As many as blocks compute: all of a cluster's count, though the last may have no rows.
double tiles_of(const GemmProblem& p, const GemmTile& tile) {
  const int64_t rows = int64_t(tile.m) * tile.cluster;
  return double(divide_up(p.m, rows) * tile.cluster) * double(divide_up(p.n, tile.n));
}

// In a single wave a cluster only makes blocks wait for each other: the memory is not what they
// lack (DeepGEMM's heuristics, sm90.hpp).
bool clusters_pay(const GemmProblem& p, const GemmTile& tile, int splits, int multiprocessors) {
  return tile.cluster == 1 || tiles_of(p, tile) * splits > double(multiprocessors) * tile.blocks;
}

// Clocks for the whole product.
double cost(const GemmProblem& p, const GemmTile& tile, int splits, int multiprocessors) {
  const int step = tile.step_bytes / element_size(p.math);
  const GemmSplit split = split_k(p.k, step, splits);
  const double blocks = tiles_of(p, tile) * split.count;
  const double slots = double(multiprocessors) * tile.blocks;
  const double waves = blocks < slots ? 1 : blocks / slots + 0.5;  // the last is half empty
  const double sharing = std::clamp(blocks / multiprocessors, 1.0, double(tile.blocks));
  const double products = double(tile.m) * tile.n * double(divide_up(split.length, step) * step);
  double clocks = waves * (kFill + products * sharing / (peak(p.math) * tile.rate));
  if (split.count > 1)  // partial sums are written, read again, and added by a kernel of their own
    clocks += kLaunch + 2.0 * split.count * double(p.m) * double(p.n) * 4 / kBytesPerClock;
  return clocks;
}

// k is only split where the tiles alone do not keep all multiprocessors busy.
int most_splits(const GemmProblem& p, const GemmTile& tile, int multiprocessors) {
  return tiles_of(p, tile) < double(multiprocessors) * tile.blocks ? kMostSplits : 1;
}

}  // namespace

bool on_tensor_cores(GemmMath math) { return math != GemmMath::f32; }
int element_size(GemmMath math) { return math == GemmMath::f32 || math == GemmMath::tf32 ? 4 : 2; }

bool sixteen_byte_copies(const GemmProblem& p) {
  auto fits = [&](const void* data, int64_t stride) {
    return reinterpret_cast<uintptr_t>(data) % 16 == 0 && stride * element_size(p.math) % 16 == 0;
  };
  return fits(p.a, p.a_stride) && fits(p.b, p.b_stride);
}

bool wgmma_takes(const GemmProblem& p) {
  constexpr int64_t kMostStride = int64_t(1) << 39;  // elements: TMA counts bytes in 40 bits
  return element_size(p.math) == 2 && sixteen_byte_copies(p) && p.a_stride < kMostStride &&
         p.b_stride < kMostStride;
}

const GemmTile& tile_of(const GemmProblem& p, const GemmPlan& plan) {
  const GemmTile* tiles = plan.wgmma                ? kWgmmaTiles
                          : on_tensor_cores(p.math) ? kTensorTiles
                                                    : kSimtTiles;
  return tiles[plan.tile];
}

GemmSplit split_k(int64_t k, int step, int wanted) {
  const int64_t steps = std::max<int64_t>(divide_up(k, step), 1);
  const int64_t each = divide_up(steps, std::clamp<int64_t>(wanted, 1, steps));
  return {each * step, int(divide_up(steps, each))};
}

GemmPlan plan_gemm(const GemmProblem& p, int multiprocessors) {
  const bool tensor = on_tensor_cores(p.math), narrow = tensor && !sixteen_byte_copies(p);
  const bool wgmma = p.variant == GemmVariant::wgmma && wgmma_takes(p);
  const int first = narrow ? kNarrowTile : 0;
  const int end = wgmma    ? kWgmmaTileCount
                  : narrow ? kNarrowTile + 1
                  : tensor ? kAlignedTiles
                           : kSimtTileCount;
  GemmPlan best;
  double least = std::numeric_limits<double>::max();
  for (GemmPlan plan{first, 1, wgmma}; plan.tile < end; ++plan.tile) {
    const GemmTile& tile = tile_of(p, plan);
    const int most = most_splits(p, tile, multiprocessors);
    for (plan.splits = 1; plan.splits <= most; ++plan.splits) {
      if (!clusters_pay(p, tile, plan.splits, multiprocessors)) continue;
      const double clocks = cost(p, tile, plan.splits, multiprocessors);
      if (clocks < least) {
        least = clocks;
        best = plan;
      }
    }
  }
  return best;
}

}  // namespace graft::cuda
