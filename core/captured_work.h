// Work on a CUDA device that is written down once and then launched as a whole, as a CUDA graph:
// for the processor one call in place of hundreds, which is what limits small batches.
//
// The work is captured in a lane of its own, without being run. With it are fixed all shapes, all
// addresses, and every number that the processor hands to a kernel. So what differs from launch to
// launch (the batch, rates, the number of the step) lies in tensors that had values before, and is
// written there before a launch; what the work leaves behind goes into such tensors, and all that
// it makes for itself ends within it. It may not bring values from or to the processor: such work
// is refused when it is captured, and nothing has happened then.
//
// What it changes on the processor besides, a counter or a version, belongs into at_each_launch().
#pragma once
#include <functional>
#include <memory>

namespace graft {

class CapturedWork {
 public:
  // Throws what `work` throws, or why it cannot be captured.
  explicit CapturedWork(const std::function<void()>& work);
  ~CapturedWork();
  CapturedWork(const CapturedWork&) = delete;

  // Behind all that this thread has queued so far; what it queues afterwards comes after.
  void launch();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

bool capturing();  // whether this thread is in the middle of such work

// Does it now; while this thread captures, at each launch instead.
void at_each_launch(std::function<void()> change);

}  // namespace graft
