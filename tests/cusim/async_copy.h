// cp.async: copies from global to shared memory that are done when their thread waits for them,
// as late as CUDA allows; until then their destination reads as NaN.
#pragma once

namespace cusim {

void start_copy(void* shared, const void* global, int bytes, int valid);
void commit_copies();
void wait_copies(int groups_left);

void forget_copies(unsigned thread);            // when a block begins
void check_no_copy_in_flight(unsigned thread);  // when a thread ends

template <int kBytes>
void copy_async(void* shared, const void* global, int valid) {
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "cp.async copies 4, 8 or 16 bytes");
  start_copy(shared, global, kBytes, valid);
}
inline void copy_async_commit() { commit_copies(); }
template <int kGroups>
void copy_async_wait() {
  wait_copies(kGroups);
}

}  // namespace cusim
