// The only inline PTX: each instruction that C++ has no name for is one function here, and
// tests/cusim/shadow has the same functions for the CPU. Layouts are those of NVIDIA's "Parallel
// Thread Execution ISA"; g = lane / 4 and t = lane % 4. Every lane of the warp must take part in
// what is `.aligned`. Not yet run on a GPU; there tests/cuda_ptx_test.cu holds them to the ISA.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#include "kernels/cuda/tensor_map.h"

namespace graft::cuda::ptx {

__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

// Four 8x8 matrices of 16-bit elements from shared memory: lane l gives the address of row l % 8 of
// matrix l / 8, 16-byte aligned, and gets in r[i] the elements (g, 2t) and (g, 2t + 1) of matrix i.
__device__ __forceinline__ void ldmatrix(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// The same, each matrix transposed: r[i] holds the elements (2t, g) and (2t + 1, g).
__device__ __forceinline__ void ldmatrix_transposed(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

// c (16,8) += a (16,16) b (16,8), sums in f32. c[0..1]: row g, columns 2t and 2t + 1; c[2..3]: row
// g + 8. a[0]: row g, columns 2t, 2t + 1; a[1]: row g + 8; a[2], a[3]: the same rows, columns + 8.
// b0: rows 2t, 2t + 1 of column g; b1: rows + 8.
template <class T>
__device__ __forceinline__ void mma_m16n8k16(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                             uint32_t b1);
template <>
__device__ __forceinline__ void mma_m16n8k16<__nv_bfloat16>(float (&c)[4], const uint32_t (&a)[4],
                                                            uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
template <>
__device__ __forceinline__ void mma_m16n8k16<__half>(float (&c)[4], const uint32_t (&a)[4],
                                                     uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// c (16,8) += a (16,8) b (8,8) in tf32, sums in f32. c as above. a[0]: (g, t); a[1]: (g + 8, t);
// a[2]: (g, t + 4); a[3]: (g + 8, t + 4). b0: (t, g); b1: (t + 4, g).
__device__ __forceinline__ void mma_m16n8k8_tf32(float (&c)[4], const uint32_t (&a)[4], uint32_t b0,
                                                 uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The bits of an f32, rounded to tf32 (10 bits of mantissa) to nearest, ties away from zero.
__device__ __forceinline__ uint32_t round_to_tf32(uint32_t bits) {
  uint32_t rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(bits)));
  return rounded;
}

// Starts a copy of kBytes (4, 8 or 16, and both addresses multiples of that) from global to shared
// memory; only the first `valid` bytes are read, the others become zero. The thread sees it after
// a wait, other threads after a barrier that follows the wait.
template <int kBytes>
__device__ __forceinline__ void copy_async(void* shared, const void* global, int valid) {
  if constexpr (kBytes == 16)  // past L1: each byte is used by this block once
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
                 "l"(global), "r"(valid)
                 : "memory");
  else
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(shared_address(shared)),
                 "l"(global), "n"(kBytes), "r"(valid)
                 : "memory");
}

// Closes a group of the copies that this thread has started since the last.
__device__ __forceinline__ void copy_async_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

// Waits until at most kGroups of the thread's latest groups are not done.
template <int kGroups>
__device__ __forceinline__ void copy_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kGroups) : "memory");
}

// ---- Hopper (sm_90a): kernels that use what follows have their bodies in if constexpr (kHopper),
// and are never launched on another device.

#ifdef __CUDA_ARCH_FEAT_SM90_ALL
constexpr bool kHopper = true;
#else
constexpr bool kHopper = false;
#endif

// An mbarrier is eight bytes of shared memory that count: a phase ends when `arrivals` threads have
// arrived and all bytes that were announced have come; then the next begins, with the same count.
__device__ __forceinline__ void barrier_init(uint64_t* barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
}

// After barrier_init(), by the same thread, and before the block's barrier: from then on other
// threads and the copy engine (the "async proxy") see the initialised mbarriers.
__device__ __forceinline__ void barrier_init_fence() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void barrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(shared_address(barrier))
               : "memory");
}

// Arrives, and announces that copies will bring so many bytes in this phase.
__device__ __forceinline__ void barrier_arrive_expect(uint64_t* barrier, int bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}

// Waits while the barrier is in a phase of this parity (0 for the first phase, 1 for the second,
// 0 again): until the latest phase of this parity is over. Parity 1 never waits at a fresh barrier.
__device__ __forceinline__ void barrier_wait(uint64_t* barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred over;\nagain:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 over, [%0], %1;\n"
      "@!over bra again;\n}" ::"r"(shared_address(barrier)),
      "r"(parity)
      : "memory");
}

// The rank of the block in its cluster: blocks, neighbours along x, that run at the same time and
// reach each other's shared memory.
__device__ __forceinline__ uint32_t cluster_rank() {
  uint32_t rank;
  asm("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// The barrier of all threads of a cluster that have not returned: what one did before it arrived,
// all see when they have waited.
__device__ __forceinline__ void cluster_arrive() {
  asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}
__device__ __forceinline__ void cluster_wait() {
  asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// Arrives at the mbarrier that is in the same place of another block, or of this one. Its scope is a
// block: what loads and stores did before it, another block need not see when it has waited. Products
// of wgmma that were waited for, and copies that have come, are over for all: they leave nothing to
// see. With the scope of a cluster each arrival would wait for all of the warp's stores, and each wait
// would empty the L1 cache.
__device__ __forceinline__ void barrier_arrive_in(uint64_t* barrier, uint32_t rank) {
  asm volatile(
      "{\n.reg .b32 there;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "mbarrier.arrive.shared::cluster.b64 _, [there];\n}" ::"r"(shared_address(barrier)),
      "r"(rank)
      : "memory");
}

// Starts the copy of a box of the matrix to shared memory, 1024-byte aligned, swizzled as
// tensor_map.h says: its first element is (row, column), either of which may lie outside. One
// thread does it. The bytes of the whole box are counted by the barrier when they have come; who
// has waited for that phase sees them.
__device__ __forceinline__ void copy_box_async(void* shared, const TensorMap& map, int row,
                                               int column, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3}], [%4];" ::"r"(shared_address(shared)),
      "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier))
      : "memory");
}

// The same to several blocks of the cluster, bit r of `blocks` for that of rank r: the box comes to
// the same place in each, and is counted by the mbarrier in the same place of each.
__device__ __forceinline__ void copy_box_to_blocks(void* shared, const TensorMap& map, int row,
                                                   int column, uint64_t* barrier, uint32_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%2, %3}], [%4], %5;" ::"r"(shared_address(shared)),
      "l"(&map), "r"(column), "r"(row), "r"(shared_address(barrier)), "h"(uint16_t(blocks))
      : "memory");
}

// The same of the matrix that a convolution gathers from images, with the tap's offset.
__device__ __forceinline__ void copy_pixels_async(void* shared, const TensorMap& map,
                                                  const PixelBox& from, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%2, %3, %4, %5}], [%6], {%7, %8};" ::"r"(shared_address(shared)),
      "l"(&map), "r"(from.channel), "r"(from.column), "r"(from.row), "r"(from.image),
      "r"(shared_address(barrier)), "h"(uint16_t(from.right)), "h"(uint16_t(from.down))
      : "memory");
}
__device__ __forceinline__ void copy_pixels_to_blocks(void* shared, const TensorMap& map,
                                                      const PixelBox& from, uint64_t* barrier,
                                                      uint32_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes"
      ".multicast::cluster [%0], [%1, {%2, %3, %4, %5}], [%6], {%7, %8}, %9;" ::"r"(
          shared_address(shared)),
      "l"(&map), "r"(from.channel), "r"(from.column), "r"(from.row), "r"(from.image),
      "r"(shared_address(barrier)), "h"(uint16_t(from.right)), "h"(uint16_t(from.down)),
      "h"(uint16_t(blocks))
      : "memory");
}

// __syncthreads() for `threads` of the block, in whole warps, that call it by the same id: 1 to 15.
__device__ __forceinline__ void barrier_sync(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

// A warpgroup (four warps, the first a multiple of four) gives registers back, or takes some: from
// here on each of its threads has kCount, a multiple of 8.
template <int kCount>
__device__ __forceinline__ void shrink_registers() {
  asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kCount));
}
template <int kCount>
__device__ __forceinline__ void grow_registers() {
  asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kCount));
}

// How wgmma finds a matrix in shared memory that is swizzled as tensor_map.h says, `outer` (m or n)
// by 16 of k. Its first element is at `start`, in a pattern that begins at a multiple of 1024
// bytes.
//   contiguous along k       a row of 128 bytes is an outer index; eight rows further on, the next
//                            eight lie `eight_rows` bytes behind the first
//   contiguous along outer   a row of 128 bytes is an index of k, and holds 64 outer indices; the
//                            next eight of k lie `eight_rows` bytes behind the first, the next 64
//                            outer indices `next_column` bytes
// Bits, from the lowest: start / 16 (14 bits, at 0), next_column / 16 (at 16), eight_rows / 16 (at
// 32), the swizzle (at 62; 1 is that of 128 bytes). PTX ISA, "Matrix Descriptor Format".
__device__ __forceinline__ uint64_t matrix_descriptor(const void* start, int eight_rows,
                                                      int next_column) {
  auto field = [](uint32_t bytes) { return uint64_t((bytes & 0x3ffff) >> 4); };
  return field(shared_address(start)) | field(uint32_t(next_column)) << 16 |
         field(uint32_t(eight_rows)) << 32 | uint64_t(1) << 62;
}

// The compiler must not move uses of the sums from one side of this to the other.
template <int kCount>
__device__ __forceinline__ void pin(float (&sums)[kCount]) {
#pragma unroll
  for (int i = 0; i < kCount; ++i) asm volatile("" : "+f"(sums[i])::"memory");
}

// Before the first wgmma, and after every other use of the registers that it adds to.
template <int kCount>
__device__ __forceinline__ void wgmma_fence(float (&sums)[kCount]) {
  pin(sums);
  asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

// Closes a group of the products that this warp has started since the last.
__device__ __forceinline__ void wgmma_commit() {
  asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

// Waits until at most kGroups of the warp's latest groups are not done. The sums may be used when
// none is left, and the shared memory that a group reads may be overwritten when it is done.
template <int kGroups, int kCount>
__device__ __forceinline__ void wgmma_wait(float (&sums)[kCount]) {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kGroups) : "memory");
  pin(sums);
}

// The names of the sums' registers in PTX, the sums themselves as operands, and the operands behind
// them: descriptors; whether to add to the sums; signs; which matrix is not contiguous along k.
#define GRAFT_NAMES_64                                                                    \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, %16, %17, %18, " \
  "%19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, %32, %33, %34, %35, " \
  "%36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, %48, %49, %50, %51, %52, " \
  "%53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define GRAFT_NAMES_128                                                                          \
  GRAFT_NAMES_64                                                                                 \
  ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, %80, %81, " \
  "%82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95, %96, %97, %98, %99, "   \
  "%100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, %112, %113, %114, "   \
  "%115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define GRAFT_SUMS_8(i)                                                                       \
  "+f"(c[i]), "+f"(c[i + 1]), "+f"(c[i + 2]), "+f"(c[i + 3]), "+f"(c[i + 4]), "+f"(c[i + 5]), \
      "+f"(c[i + 6]), "+f"(c[i + 7])
#define GRAFT_SUMS_64                                                                     \
  GRAFT_SUMS_8(0), GRAFT_SUMS_8(8), GRAFT_SUMS_8(16), GRAFT_SUMS_8(24), GRAFT_SUMS_8(32), \
      GRAFT_SUMS_8(40), GRAFT_SUMS_8(48), GRAFT_SUMS_8(56)
#define GRAFT_SUMS_128                                                                   \
  GRAFT_SUMS_64, GRAFT_SUMS_8(64), GRAFT_SUMS_8(72), GRAFT_SUMS_8(80), GRAFT_SUMS_8(88), \
      GRAFT_SUMS_8(96), GRAFT_SUMS_8(104), GRAFT_SUMS_8(112), GRAFT_SUMS_8(120)
#define GRAFT_BEHIND_64 "}, %64, %65, 1, 1, 1, %66, %67;"
#define GRAFT_BEHIND_128 "}, %128, %129, 1, 1, 1, %130, %131;"
#define GRAFT_WGMMA(shape_and_types, names, sums, behind)                             \
  asm volatile("wgmma.mma_async.sync.aligned." shape_and_types " {" names behind:sums \
               : "l"(a), "l"(b), "n"(int(kOuterA)), "n"(int(kOuterB)))

// Starts c (64,N) += a (64,16) b (16,N), sums in f32: N is 128 or 256, a warpgroup does it
// together, a and b are descriptors, kOuterA and kOuterB say which are contiguous along m and n.
// Warp w of the four has rows 16 w to 16 w + 15, and each eight columns as mma_m16n8k16 has them:
// c[4j], c[4j + 1] are row g, columns 8j + 2t and the next, c[4j + 2], c[4j + 3] row g + 8.
template <class T, bool kOuterA, bool kOuterB, int kCount>
__device__ __forceinline__ void wgmma_k16(float (&c)[kCount], uint64_t a, uint64_t b) {
  constexpr bool is_bf16 = std::is_same_v<T, __nv_bfloat16>;
  static_assert(is_bf16 || std::is_same_v<T, __half>, "bf16 or f16");
  static_assert(kCount == 64 || kCount == 128, "128 or 256 columns");
  if constexpr (kCount == 64 && is_bf16)
    GRAFT_WGMMA("m64n128k16.f32.bf16.bf16", GRAFT_NAMES_64, GRAFT_SUMS_64, GRAFT_BEHIND_64);
  else if constexpr (kCount == 64)
    GRAFT_WGMMA("m64n128k16.f32.f16.f16", GRAFT_NAMES_64, GRAFT_SUMS_64, GRAFT_BEHIND_64);
  else if constexpr (is_bf16)
    GRAFT_WGMMA("m64n256k16.f32.bf16.bf16", GRAFT_NAMES_128, GRAFT_SUMS_128, GRAFT_BEHIND_128);
  else
    GRAFT_WGMMA("m64n256k16.f32.f16.f16", GRAFT_NAMES_128, GRAFT_SUMS_128, GRAFT_BEHIND_128);
}

}  // namespace graft::cuda::ptx
