#include "bench/cuda/timed.h"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <random>

#include "kernels/elementwise.h"
#ifdef GRAFT_WITH_VENDOR
#include "kernels/vendor/versions.h"
#endif

namespace graft::bench {
namespace {

constexpr double kL2 = 60e6;        // bytes; of H100 and H200 50 MB, of A100 40 MB
constexpr int64_t kFill = 1 << 22;  // elements that are drawn; larger buffers repeat them
constexpr int kRows = 8;            // rows of launches that a repetition measures

// From NVIDIA's data sheets, dense: FLOP/s and bytes/s.
struct Peak {
  const char* device;
  double f32, tf32, half, memory;
};
constexpr Peak kPeaks[] = {{"H200", 67e12, 495e12, 989e12, 4.8e12},
                           {"H100 PCIe", 51e12, 378e12, 756e12, 2.0e12},
                           {"H100", 67e12, 495e12, 989e12, 3.35e12},
                           {"A100", 19.5e12, 156e12, 312e12, 2.0e12}};

const Peak* peak() {
  static const std::string name = cuda::device_info().name;
  for (const Peak& p : kPeaks)
    if (name.find(p.device) != std::string::npos) return &p;
  return nullptr;
}

double least_seconds(const Timed& t, const Peak& p) {
  const double rate = t.math == cuda::GemmMath::f32    ? p.f32
                      : t.math == cuda::GemmMath::tf32 ? p.tf32
                                                       : p.half;
  return std::max(t.flops / rate, t.bytes / p.memory);
}

const std::vector<float>& normal_values() {
  static const std::vector<float> values = [] {
    std::mt19937 engine(1);
    std::normal_distribution<float> normal;
    std::vector<float> all(kFill);
    for (float& v : all) v = normal(engine);
    return all;
  }();
  return values;
}

// The same on the device, uploaded once: cases prepare their buffers anew for each repetition.
const float* drawn_values() {
  static const float* const values = [] {
    const std::vector<float>& all = normal_values();
    auto* there = static_cast<float*>(cuda::allocate(all.size() * sizeof(float), {}));
    cuda::copy(there, all.data(), all.size() * sizeof(float), {});
    return there;
  }();
  return values;
}

void fill(DType dtype, int64_t size, void* to) {
  const int64_t n = std::min(size, kFill);
  const float* drawn = drawn_values();
  for (int64_t at = 0; at < size; at += n) {
    const int64_t part = std::min(n, size - at);
    if (dtype == DType::f32)
      cuda::copy(static_cast<float*>(to) + at, drawn, size_t(part) * 4, {});
    if (dtype == DType::bf16)
      cuda::convert(part, drawn, static_cast<bf16*>(to) + at, {});
    if (dtype == DType::f16)
      cuda::convert(part, drawn, static_cast<f16*>(to) + at, {});
  }
}

// Seconds of `count` runs, one after the other, the sets in turn.
double measure(const std::function<void(int)>& run, int count, int sets, int& next) {
  const cuda::Event begin = cuda::create_event(true), end = cuda::create_event(true);
  cuda::record(begin, {});
  for (int i = 0; i < count; ++i) run(next++ % sets);
  cuda::record(end, {});
  cuda::synchronize(end);
  const double seconds = double(cuda::milliseconds(begin, end)) * 1e-3;
  cuda::destroy(begin);
  cuda::destroy(end);
  return seconds;
}

void run(benchmark::State& state, const Timed& t) {
  try {
    const std::function<void(int)> once = t.prepare();
    int next = 0;
    measure(once, std::max(2, t.sets), t.sets, next);  // warm, and the vendor has chosen
    const double each = measure(once, 4, t.sets, next) / 4;
    const int count = std::clamp(int(2e-3 / std::max(each, 1e-6)), 1, 200);  // 2 ms hide the events
    double total = 0;
    int64_t runs = 0;
    for (auto _ : state) {
      const double seconds = measure(once, count, t.sets, next);
      state.SetIterationTime(seconds);
      total += seconds, runs += count;
    }
    const double seconds = total / double(runs);
    state.counters["us"] = seconds * 1e6;
    if (t.flops > 0) state.counters["TFLOP/s"] = t.flops / seconds * 1e-12;
    state.counters["GB/s"] = t.bytes / seconds * 1e-9;
    if (const Peak* p = peak()) state.counters["limit"] = least_seconds(t, *p) / seconds;
  } catch (const std::exception& e) {
    state.SkipWithError(e.what());
  }
}

}  // namespace

Buffer::Buffer(DType dtype, int64_t size, int sets)
    : bytes_((size_t(size) * size_of(dtype) + 255) / 256 * 256),
      block_(cuda::allocate(bytes_ * size_t(sets), {})) {
  for (int set = 0; set < sets; ++set) fill(dtype, size, at(set));
}

int sets_for(double bytes) { return std::clamp(int(3 * kL2 / bytes) + 1, 1, 64); }

void add(Timed timed) {
  const std::string name = timed.name;
  benchmark::RegisterBenchmark(name.c_str(), [timed](benchmark::State& s) { run(s, timed); })
      ->UseManualTime()
      ->Iterations(kRows)  // by itself the library would prepare everything again to find a number
      ->Unit(benchmark::kMicrosecond);
}

}  // namespace graft::bench

int main(int argc, char** argv) {
  using namespace graft;
  if (cuda::device_count() == 0)
    return std::fputs("cuda_bench: there is no CUDA device\n", stderr), 69;
  bench::add_gemm();
  bench::add_heads();
  bench::add_conv2d();
  bench::add_norm();
  bench::add_optimizer();
  benchmark::AddCustomContext("device", cuda::device_info().name);
#ifdef GRAFT_WITH_VENDOR
  benchmark::AddCustomContext("libraries", vendor::versions());
#endif
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
