// mbarriers with the signatures of kernels/cuda/ptx.cuh, after the PTX ISA ("mbarrier"): pending
// arrivals and bytes count down, and a phase ends when both are none. Eight bytes of shared memory
// only hold a mark, by which it is seen that nobody else writes there.
#pragma once
#include <cstdint>
#include <source_location>

namespace cusim {

void barrier_init(uint64_t* barrier, int arrivals);
void barrier_init_fence();
void barrier_arrive(uint64_t* barrier);
void barrier_arrive_expect(uint64_t* barrier, int bytes);
void barrier_arrive_in(uint64_t* barrier, unsigned rank);
void barrier_wait(uint64_t* barrier, uint32_t parity,
                  const std::source_location& at = std::source_location::current());

unsigned copies_of(uint64_t* barrier, unsigned rank);  // the actor that they are, see before.h
void bytes_have_come(uint64_t* barrier, int bytes);    // of a copy
void forget_barriers();                                // when a cluster begins

}  // namespace cusim
