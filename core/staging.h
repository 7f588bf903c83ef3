// Pinned memory of the host that bytes pass through on their way to a CUDA device. The copy engine reads
// it by itself; from other memory a copy may first wait for all the work before it in its stream.
#pragma once
#include <cstddef>

namespace graft {

// Queues a copy to device memory in the calling thread's stream; `from` may be changed when this
// returns. Waits only for copies of its own, when tens of megabytes are still on their way. Throws
// while the thread captures (core/captured_work.h).
void copy_staged(void* to, const void* from, size_t bytes);

}  // namespace graft
