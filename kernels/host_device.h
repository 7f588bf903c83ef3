// For functions that both the processor and CUDA devices run.
#pragma once

#ifdef __CUDACC__
#define GRAFT_HD __host__ __device__
#else
#define GRAFT_HD
#endif
