// The number of threads is OpenMP's own, so that oneDNN's kernels and ours have the same.
#include "kernels/parallel.h"

#include <omp.h>

namespace graft::cpu {

int thread_count() { return omp_get_max_threads(); }
void set_thread_count(int threads) { omp_set_num_threads(std::max(threads, 1)); }

}  // namespace graft::cpu
