// Graphs on the simulated runtime: what is fixed when work is captured, what is looked up at each
// launch, and all that must be refused.
#include "kernels/graph.h"

#include <cmath>
#include <functional>

#include "tests/cusim/fresh_device.h"

namespace graft::cuda {
namespace {

struct GraphTest : sim::FreshDevice {
  ~GraphTest() override { destroy(stream); }

  Graph captured(const std::function<void()>& work) {
    begin_capture(stream);
    try {
      work();
    } catch (...) {
      abandon_capture(stream);
      throw;
    }
    return end_capture(stream);
  }

  float seen(const float* at) {
    float value = 0;
    copy(&value, at, sizeof value, stream);
    return value;
  }

  void put(float* at, float value) { copy(at, &value, sizeof value, stream); }

  Stream stream = create_stream();
};

struct Float {  // on the device
  explicit Float(Stream s) : there(1 * sizeof(float), s) {}
  float* get() const { return there.data<float>(); }
  Scratch there;
};

TEST_F(GraphTest, WorkRunsAtEachLaunchAndNotBefore) {
  Float from(stream), to(stream);
  put(from.get(), 1), put(to.get(), 0);
  const Graph graph = captured([&] { copy(to.get(), from.get(), sizeof(float), stream); });
  EXPECT_EQ(seen(to.get()), 0);
  sim::inject({});
  for (float value : {2.0f, 3.0f}) {
    put(from.get(), value);
    launch(graph, stream);
    EXPECT_EQ(seen(to.get()), value);
  }
  EXPECT_EQ(sim::launches(), 2);
  destroy(graph);
}

TEST_F(GraphTest, ItsMemoryKeepsItsPlaceButNoValues) {
  Float before(stream), after(stream);
  const Graph graph = captured([&] {
    const Float own(stream);
    copy(before.get(), own.get(), sizeof(float), stream);
    fill_bytes(own.get(), 0, sizeof(float), stream);
    copy(after.get(), own.get(), sizeof(float), stream);
  });
  for (int i = 0; i < 2; ++i) {
    launch(graph, stream);
    EXPECT_TRUE(std::isnan(seen(before.get())));
    EXPECT_EQ(seen(after.get()), 0);
  }
  EXPECT_EQ(device_memory().live, 3 * sizeof(float));
  destroy(graph);
  EXPECT_EQ(device_memory().live, 2 * sizeof(float));
}

TEST_F(GraphTest, PinnedMemoryIsReadAtEachLaunch) {
  Float to(stream);
  auto* from = static_cast<float*>(allocate_pinned(sizeof(float)));
  const Graph graph = captured([&] { copy(to.get(), from, sizeof(float), stream); });
  for (float value : {1.0f, 2.0f}) {
    *from = value;
    launch(graph, stream);
    EXPECT_EQ(seen(to.get()), value);
  }
  destroy(graph);
  release_pinned(from);
}

TEST_F(GraphTest, WhatNoLaunchCouldDoIsRefused) {
  Float there(stream);
  float here = 0;
  const Event event = create_event();
  record(event, stream);
  const Stream other = create_stream();
  const std::function<void()> works[] = {
      [&] { synchronize(stream); },
      [&] { synchronize_device(); },
      [&] { synchronize(event); },
      [&] { finished(event); },
      [&] { record(event, stream); },
      [&] { wait(stream, event); },
      [&] { allocate_pinned(8); },
      [&] { copy(there.get(), &here, sizeof here, stream); },
      [&] { copy(&here, there.get(), sizeof here, stream); },
      [&] { fill_bytes(there.get(), 0, sizeof here, Stream{}); },
      [&] { fill_bytes(there.get(), 0, sizeof here, other); },
  };
  for (const auto& work : works) {
    begin_capture(stream);
    EXPECT_THROW(work(), DeviceError);
    EXPECT_THROW(end_capture(stream), DeviceError);  // even if nobody listens
  }
  EXPECT_THROW(begin_capture(Stream{}), DeviceError);
  destroy(event);
  destroy(other);
}

TEST_F(GraphTest, MemoryThatOutlivesTheCaptureIsRefused) {
  EXPECT_THROW(captured([&] { allocate(8, stream); }), std::logic_error);
  EXPECT_EQ(device_memory().live, 0u);
}

TEST_F(GraphTest, WhatIsReleasedMeanwhileStaysForTheLaunches) {
  auto* from = static_cast<float*>(allocate(sizeof(float), stream));
  Float to(stream);
  put(from, 5);
  const Graph graph = captured([&] {
    copy(to.get(), from, sizeof(float), stream);
    release(from, stream);
  });
  launch(graph, stream);
  launch(graph, stream);
  EXPECT_EQ(seen(to.get()), 5);
  destroy(graph);
  EXPECT_EQ(device_memory().live, sizeof(float));
}

TEST_F(GraphTest, AGraphNeedsItsMemory) {
  auto work = [&] {
    const Scratch one(600, stream);
    const Scratch two(300, stream);
  };
  sim::inject({.budget = 800});
  EXPECT_THROW(captured(work), OutOfMemory);
  sim::inject({.budget = 900});
  destroy(captured(work));
}

TEST_F(GraphTest, EveryCallCanFailOnce) {
  auto work = [&] {
    Float to(stream);
    const Graph graph = captured([&] {
      const Float own(stream);
      fill_bytes(own.get(), 0, sizeof(float), stream);
      copy(to.get(), own.get(), sizeof(float), stream);
    });
    struct Owner {
      Graph graph;
      ~Owner() { destroy(graph); }
    } owner{graph};
    launch(graph, stream);
    return seen(to.get());
  };
  sim::inject({});
  work();
  const long calls = sim::calls();
  ASSERT_GE(calls, 8);
  for (long n = 1; n <= calls; ++n) {
    sim::inject({.fail_at = n});
    EXPECT_ANY_THROW(work()) << "call " << n;
    sim::inject({});
    EXPECT_EQ(work(), 0) << "after the failure of call " << n;
    synchronize_device();
    EXPECT_EQ(device_memory().live, 0u);
  }
}

}  // namespace
}  // namespace graft::cuda
