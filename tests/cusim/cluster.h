// What the blocks of a cluster share beyond a block's own means, with the signatures of
// kernels/cuda/ptx.cuh: their ranks, the barrier at which all of their threads meet (PTX ISA,
// "barrier.cluster"), and the rule that a block's shared memory is there only until it ends: what
// another block does there, some thread of the block must know to be done before the last returns.
#pragma once
#include <source_location>

namespace cusim {

unsigned cluster_rank();
void cluster_arrive(const std::source_location& at = std::source_location::current());
void cluster_wait(const std::source_location& at = std::source_location::current());

void begin_cluster();
void leave_cluster();                 // the running thread returns
void check_blocks_outlived_visits();  // when the cluster ends

// The running thread is about to do something in the shared memory of a block of its cluster. A
// visit must have been seen there when the block ends; who waits for a copy has seen it.
void check_alive(unsigned rank, const char* what);
void visit_block(unsigned rank, const char* what);

}  // namespace cusim
