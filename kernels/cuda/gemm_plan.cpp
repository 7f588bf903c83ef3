// The model of time of gemm_plan.h: waves of blocks, each with some clocks until its first product
// and then its products, and what a split of k costs besides. Not yet held against a GPU.
#include "kernels/cuda/gemm_plan.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <string_view>

namespace graft::cuda {
namespace {

constexpr int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Multiply-adds per clock of one multiprocessor: A100's, and H100's by wgmma, of their white papers.
// What H100's units do by mma is planned for as if they were A100's; others measured that mma
// reaches 0.62 of what wgmma does (arXiv:2402.13499). How the products' clocks compare with the
// constants below it decides, too.
double peak(GemmMath math, bool wgmma) {
  if (wgmma) return 2048;
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
constexpr double kRead = 100;            // clocks of one of the reads that a thread has under way together

// As many splits as fill the device with blocks, and a few where they only even out its waves, but
// no more than leave each a ring of steps, nor than fit into what their sums may take of memory.
constexpr int kFewSplits = 16;
constexpr int64_t kMostPartial = int64_t(128) << 20;  // bytes

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

double bytes_of_sums(const GemmProblem& p) { return 4.0 * double(p.m) * double(p.n); }  // of one split

// Clocks for the whole product.
double cost(const GemmProblem& p, const GemmPlan& plan, int multiprocessors) {
  const GemmTile& tile = tile_of(p, plan);
  const int splits = plan.splits;
  const int step = tile.step_bytes / element_size(p.math);
  const GemmSplit split = split_k(p.k, step, splits);
  const double blocks = tiles_of(p, tile) * split.count;
  const double slots = double(multiprocessors) * tile.blocks;
  const double waves = blocks <= slots ? 1 : blocks / slots + 0.5;  // the last is half empty
  const double sharing = std::clamp(blocks / multiprocessors, 1.0, double(tile.blocks));
  const double products = double(tile.m) * tile.n * double(divide_up(split.length, step) * step);
  double clocks = waves * (kFill + products * sharing / (peak(p.math, plan.wgmma) * tile.rate));
  if (split.count > 1)  // partial sums are written, read again, and added by a kernel of their own
    clocks += kLaunch + split.count * std::max(2.0 * bytes_of_sums(p) / kBytesPerClock, kRead);
  return clocks;
}

// k is only split where the tiles alone do not keep all multiprocessors busy.
int most_splits(const GemmProblem& p, const GemmTile& tile, int multiprocessors) {
  const double tiles = tiles_of(p, tile), slots = double(multiprocessors) * tile.blocks;
  if (!(tiles > 0) || tiles >= slots) return 1;
  const int64_t rings = divide_up(p.k, int64_t(tile.stages) * tile.step_bytes / element_size(p.math));
  const double most = std::min(double(rings), double(kMostPartial) / bytes_of_sums(p));
  return int(std::clamp(most, 1.0, std::max(double(kFewSplits), slots / tiles)));
}

// The number to try after this one, the last of which is `most`: each of few, some of many.
int next_splits(int splits, int most) {
  return splits < most ? std::min(splits + 1 + splits / kFewSplits, most) : most + 1;
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

bool wgmma_wanted() {
  const char* said = std::getenv("GRAFT_WGMMA");
  return !said || said != std::string_view("off");
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

namespace {

struct Cheapest {
  GemmPlan plan;
  double clocks = std::numeric_limits<double>::max();

  // Of `tiles` tiles from number `first` on, with every split that may pay.
  void try_tiles(const GemmProblem& p, int first, int tiles, bool wgmma, int multiprocessors) {
    for (GemmPlan next{first, 1, wgmma}; next.tile < first + tiles; ++next.tile) {
      const GemmTile& tile = tile_of(p, next);
      const int most = most_splits(p, tile, multiprocessors);
      for (next.splits = 1; next.splits <= most; next.splits = next_splits(next.splits, most)) {
        if (!clusters_pay(p, tile, next.splits, multiprocessors)) continue;
        const double its_clocks = cost(p, next, multiprocessors);
        if (its_clocks < clocks) clocks = its_clocks, plan = next;
      }
    }
  }
};

}  // namespace

GemmPlan plan_gemm(const GemmProblem& p, const GemmDevice& device) {
  const bool wgmma = device.wgmma && p.variant != GemmVariant::mma && wgmma_takes(p);
  Cheapest cheapest;
  if (wgmma) cheapest.try_tiles(p, 0, kWgmmaTileCount, true, device.multiprocessors);
  if (wgmma && p.variant == GemmVariant::wgmma) return cheapest.plan;
  const bool tensor = on_tensor_cores(p.math), narrow = tensor && !sixteen_byte_copies(p);
  const int first = narrow ? kNarrowTile : 0;
  const int tiles = narrow ? 1 : tensor ? kAlignedTiles : kSimtTileCount;
  cheapest.try_tiles(p, first, tiles, false, device.multiprocessors);
  return cheapest.plan;
}

}  // namespace graft::cuda
