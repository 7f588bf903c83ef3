// Which kernel, tile and number of splits a matrix product runs with: chosen by a model of its
// time, never by trying, so that a shape always gives the same bits. The model's rates are
// estimates. Not yet run on a GPU.
#pragma once
#include "kernels/gemm.h"

namespace graft::cuda {

// A block of warps_m x warps_n warps computes a tile of m x n outputs, `stages` steps of k in
// flight. No rate in the tables below has been measured.
struct GemmTile {
  int m, n;
  int step_bytes;  // of k, in one stage
  int stages;
  int warps_m, warps_n;
  int blocks;       // at a time on one multiprocessor: bounds the registers of a thread
  float rate;       // of the multiprocessor's peak, when that many blocks run
  int cluster = 1;  // blocks that share the copies of B, their tiles one below the other

  constexpr int threads() const { return 32 * warps_m * warps_n; }
};

// On tensor cores. The larger the tile, the fewer bytes of shared memory an operation reads; the
// smaller, the more blocks there are for all multiprocessors. The last one takes operands that
// 16-byte copies cannot read.
constexpr GemmTile kTensorTiles[] = {
    // m, n, step_bytes, stages, warps_m, warps_n, blocks, rate
    {128, 128, 64, 4, 2, 2, 2, 0.80f},
    {128, 64, 64, 4, 2, 2, 2, 0.65f},
    {64, 64, 64, 4, 2, 2, 3, 0.50f},
    {64, 64, 64, 2, 2, 2, 2, 0.10f},
};
constexpr int kAlignedTiles = 3, kNarrowTile = 3;

// On Hopper's tensor cores, with wgmma. Eight of the twelve warps multiply; of the first four one
// thread starts all copies, and the others do nothing.
constexpr GemmTile kWgmmaTiles[] = {
    // m, n, step_bytes, stages, warps_m, warps_n, blocks, rate, cluster
    {128, 256, 128, 4, 12, 1, 1, 0.85f},
    {128, 128, 128, 6, 12, 1, 1, 0.75f},
    {128, 256, 128, 4, 12, 1, 1, 0.89f, 2},
};
constexpr int kWgmmaTileCount = 3;

// On the f32 units, for operands of any alignment.
constexpr GemmTile kSimtTiles[] = {
    {128, 128, 64, 3, 2, 4, 2, 0.80f},
    {64, 64, 64, 3, 2, 2, 4, 0.60f},
};
constexpr int kSimtTileCount = 2;

struct GemmPlan {
  int tile = 0;        // index in the table of the problem's kind
  int splits = 1;      // parts of k, each summed by blocks of its own
  bool wgmma = false;  // the tile is one of kWgmmaTiles
  bool operator==(const GemmPlan&) const = default;
};

// The parts of k are whole steps, so that the last may be shorter but none is empty.
struct GemmSplit {
  int64_t length;  // of k in each part
  int count;
};
GemmSplit split_k(int64_t k, int step, int wanted);

bool on_tensor_cores(GemmMath math);
int element_size(GemmMath math);                       // of a and b, bytes
bool sixteen_byte_copies(const GemmProblem& problem);  // a and b can be read by them

bool wgmma_takes(const GemmProblem& problem);  // its type and operands, on Hopper

struct GemmDevice {
  int multiprocessors;
  bool wgmma;  // has it, and it has proved to be right there
};
GemmDevice gemm_device();  // of this machine, whose GPUs are all of the first one's kind

// Whether wgmma and the copy engine, as we use them, give what mma gives: small integers, equal to
// the bit. Runs products and convolutions on the default stream.
bool wgmma_agrees();
// The environment variable GRAFT_WGMMA is not "off".
bool wgmma_wanted();
// That it is wanted, this is Hopper, it was compiled for it, and wgmma_agrees(); asked once.
bool wgmma_works();
const GemmTile& tile_of(const GemmProblem& problem, const GemmPlan& plan);
int64_t note_rows(const GemmProblem& problem, const GemmPlan& plan);  // of c, in a tile of the moments

GemmPlan plan_gemm(const GemmProblem& problem, const GemmDevice& device);
void gemm(const GemmProblem& problem, const GemmPlan& plan, Stream stream);

}  // namespace graft::cuda
