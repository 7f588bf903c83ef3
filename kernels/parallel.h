// Work sharing for CPU kernels, on the one OpenMP team that oneDNN uses as well, so that two
// thread pools never fight for the cores. Results do not depend on the number of threads as long
// as every index computes its own output; sums over indices use chunk_count (fixed by size alone).
#pragma once
#include <algorithm>
#include <cstdint>
#ifdef __SANITIZE_THREAD__
#include <thread>
#include <vector>
#endif

namespace graft::cpu {

int thread_count();
void set_thread_count(int threads);  // for every later kernel, from the calling thread

// Runs body(begin, end) over [0, count) in contiguous ranges of at least `grain` indices.
template <class Body> void parallel_for(int64_t count, int64_t grain, const Body& body) {
  int64_t most = grain > 0 ? (count + grain - 1) / grain : count;
  int parts = int(std::min<int64_t>(thread_count(), most));
  if (parts <= 1) {
    if (count > 0) body(int64_t(0), count);
    return;
  }
  auto run = [&](int part) { body(count * part / parts, count * (part + 1) / parts); };
#ifdef __SANITIZE_THREAD__  // the thread sanitizer cannot see how an OpenMP team synchronises
  std::vector<std::thread> team;
  for (int part = 1; part < parts; ++part) team.emplace_back(run, part);
  run(0);
  for (std::thread& thread : team) thread.join();
#else
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int part = 0; part < parts; ++part) run(part);
#endif
}

// How many partial sums a reduction over `count` rows uses: a function of the size only.
inline int64_t chunk_count(int64_t count, int64_t grain) {
  return std::clamp<int64_t>(count / std::max<int64_t>(grain, 1), 1, 16);
}

}  // namespace graft::cpu
