#include "core/captured_work.h"

#include <vector>

#include "core/dispatch.h"
#include "kernels/graph.h"

namespace graft {
namespace {

using Changes = std::vector<std::function<void()>>;
thread_local Changes* noting = nullptr;  // those of a capture that goes on

class Noting {
 public:
  explicit Noting(Changes& changes) { noting = &changes; }
  ~Noting() { noting = nullptr; }
  Noting(const Noting&) = delete;
};

cuda::Graph graph_of([[maybe_unused]] const std::function<void()>& work) {
  cuda::Graph graph;
  if constexpr (kWithCuda) {
    cuda::begin_capture(stream());
    try {
      work();
    } catch (...) {
      cuda::abandon_capture(stream());
      throw;
    }
    graph = cuda::end_capture(stream());
  }
  return graph;
}

}  // namespace

struct CapturedWork::Impl {
  Lane lane;
  cuda::Graph graph;
  Changes changes;

  ~Impl() {
    if constexpr (kWithCuda) cuda::destroy(graph);
  }
};

CapturedWork::CapturedWork(const std::function<void()>& work) : impl_(std::make_unique<Impl>()) {
  const Noting here(impl_->changes);
  impl_->lane.run([&] { impl_->graph = graph_of(work); });
}

CapturedWork::~CapturedWork() = default;

void CapturedWork::launch() {
  if constexpr (kWithCuda) {
    impl_->lane.run([&] { cuda::launch(impl_->graph, stream()); });
    impl_->lane.join();
  }
  for (const auto& change : impl_->changes) change();
}

bool capturing() { return noting != nullptr; }

void at_each_launch(std::function<void()> change) {
  if (!noting) return change();
  noting->push_back(std::move(change));
}

}  // namespace graft
