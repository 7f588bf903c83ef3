// Operations at the sizes of ResNet-50, VGG-16 and MobileNet, made by the same makers as the tests'
// table. fwd runs without history; grad<i> is the gradient of input i alone, the others frozen;
// grad is all of them. GFLOP/s counts multiply and add; GB/s counts every array once.
//   ops_bench --benchmark_filter='conv2d.*fwd'
#include <benchmark/benchmark.h>

#include <chrono>

#include "core/autograd.h"
#include "kernels/optimizer.h"
#include "kernels/reduce.h"
#include "tests/op_case.h"

namespace graft::tests {
namespace {

constexpr int64_t kBatch = 8;

double seconds_of(const std::function<void()>& work) {
  auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void count(benchmark::State& state, double flops, double bytes) {
  using benchmark::Counter;
  auto rate = Counter::kIsIterationInvariantRate;
  if (flops > 0) state.counters["GFLOP/s"] = Counter(flops * 1e-9, rate);
  state.counters["GB/s"] = Counter(bytes * 1e-9, rate);
}

double bytes_of(const std::vector<Tensor>& tensors) {
  double bytes = 0;
  for (const Tensor& t : tensors) bytes += double(t.bytes());
  return bytes;
}

void forward(benchmark::State& state, const OpCase& row) {
  NoGrad off;
  std::vector<Tensor> inputs = make_inputs(row);
  Tensor y = row.call(inputs);
  for (auto _ : state) {
    y = Tensor();  // its block is free for the next result
    y = row.call(inputs);
  }
  count(state, row.flops, bytes_of(inputs) + double(y.bytes()));
}

// For an operation whose forward pass makes the gradient too.
void recorded(benchmark::State& state, const OpCase& row) {
  std::vector<Tensor> inputs = make_inputs(row);
  for (Tensor& input : inputs) input.requires_grad(true);
  for (auto _ : state) benchmark::DoNotOptimize(row.call(inputs));
  count(state, row.flops, 2 * bytes_of(inputs));
}

// Gradients of the inputs in `wanted`, timed without the forward pass before it.
void backward(benchmark::State& state, const OpCase& row, unsigned wanted) {
  std::vector<Tensor> inputs = make_inputs(row);
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i].requires_grad(wanted >> i & 1);
  Tensor dy = Tensor::full(row.call(inputs).shape(), 1);
  double made = 0;
  for (auto _ : state) {
    Tensor y = row.call(inputs);
    std::vector<Tensor> grads;
    state.SetIterationTime(seconds_of([&] {
      for (Edge& edge : node_of(y)->edges) grads.push_back(edge.grad(dy));
    }));
    made = bytes_of(grads);
  }
  count(state, row.flops * __builtin_popcount(wanted),
        bytes_of(inputs) + double(dy.bytes()) + made);
}

void add_rows(const OpCase& row, bool one_by_one) {
  benchmark::RegisterBenchmark((row.name + "/fwd").c_str(), [row](auto& s) {
    forward(s, row);
  })->UseRealTime();
  const unsigned all = (1u << row.inputs.size()) - 1;
  auto add = [&](const std::string& name, unsigned wanted) {
    benchmark::RegisterBenchmark((row.name + "/" + name).c_str(), [row, wanted](auto& s) {
      backward(s, row, wanted);
    })->UseManualTime();
  };
  if (!one_by_one) return add("grad", all);
  for (size_t i = 0; i < row.inputs.size(); ++i) add("grad" + std::to_string(i), 1u << i);
}

ConvSpec spec(int stride, int padding, int groups = 1) {
  return {{stride, stride}, {padding, padding, padding, padding}, {1, 1}, groups};
}

void add_matrix_rows() {
  const int64_t n = kBatch;
  add_rows(conv_case("stem_224", {{n, 224, 224, 3}, {64, 7, 7, 3}, spec(2, 3)}), true);
  add_rows(conv_case("1x1_56", {{n, 56, 56, 64}, {256, 1, 1, 64}, spec(1, 0)}), true);
  add_rows(conv_case("3x3_56", {{n, 56, 56, 64}, {64, 3, 3, 64}, spec(1, 1)}), true);
  add_rows(conv_case("3x3_28_stride2", {{n, 56, 56, 128}, {128, 3, 3, 128}, spec(2, 1)}), true);
  add_rows(conv_case("1x1_14", {{n, 14, 14, 1024}, {256, 1, 1, 1024}, spec(1, 0)}), true);
  add_rows(conv_case("3x3_7", {{n, 7, 7, 512}, {512, 3, 3, 512}, spec(1, 1)}), true);
  add_rows(conv_case("vgg_224", {{2, 224, 224, 64}, {64, 3, 3, 64}, spec(1, 1)}), true);
  add_rows(conv_case("depthwise_56", {{n, 56, 56, 144}, {144, 3, 3, 1}, spec(1, 1, 144)}), true);
  add_rows(linear_case("fc_2048", n, 2048, 1000, true), true);
}

void add_memory_rows() {
  const Shape wide{kBatch, 56, 56, 256};
  for (bool train : {true, false})
    for (bool residual : {false, true})
      add_rows(batch_norm_case(residual ? "relu_residual_56" : "relu_56", wide, train,
                               Activation::relu, residual),
               false);
  add_rows(batch_norm_case("silu_56", wide, true, Activation::silu, false), false);
  for (Activation a : {Activation::relu, Activation::gelu, Activation::hardswish})
    add_rows(activation_case(a, wide), false);
  add_rows(pool_case("stem_112", true, {kBatch, 112, 112, 64},
                     {.window = {3, 3}, .padding = {1, 1, 1, 1}}),
           false);
  add_rows(pool_case("vgg_224", true, {2, 224, 224, 64}, {}), false);
  add_rows(pool_case("2x2_56", false, {kBatch, 56, 56, 128}, {}), false);
  add_rows(adaptive_case("global_7", {kBatch, 7, 7, 2048}, 1, 1), false);
  OpCase loss = cross_entropy_case("1000", 256, 1000, {.label_smoothing = 0.1f});
  benchmark::RegisterBenchmark((loss.name + "/fwd+grad").c_str(), [loss](auto& s) {
    recorded(s, loss);
  })->UseRealTime();
}

void optimizer_step(benchmark::State& state, bool adamw) {
  const int64_t n = 25557032;  // ResNet-50
  Tensor p = Tensor::full({n}, 0.01f), g = Tensor::full({n}, 0.001f);
  Tensor m = Tensor::zeros({n}), v = Tensor::zeros({n});
  for (auto _ : state) {
    if (adamw)
      cpu::adamw({.lr = 1e-5f}, n, g.data(), 1, p.mutable_data(), m.mutable_data(),
                 v.mutable_data());
    else
      cpu::sgd({.lr = 1e-5f, .momentum = 0.9f}, n, g.data(), 1, p.mutable_data(), m.mutable_data());
  }
  count(state, 0, (adamw ? 7.0 : 5.0) * 4 * double(n));
}

void gradient_norm(benchmark::State& state) {
  Tensor g = Tensor::full({25557032}, 0.001f);
  for (auto _ : state) benchmark::DoNotOptimize(cpu::sum_of_squares(g.size(), g.data()));
  count(state, 0, double(g.bytes()));
}

void normalize_images(benchmark::State& state) {
  Tensor pixels = Tensor::zeros({32, 224, 224, 3}, DType::u8);
  for (auto _ : state)
    benchmark::DoNotOptimize(normalize(pixels, 1.0f / 255, {0.5f, 0.5f, 0.5f}, {0.2f, 0.2f, 0.2f}));
  count(state, 0, 5.0 * double(pixels.size()));
}

}  // namespace
}  // namespace graft::tests

int main(int argc, char** argv) {
  using namespace graft::tests;
  add_matrix_rows();
  add_memory_rows();
  benchmark::RegisterBenchmark("sgd_resnet50", [](auto& s) {
    optimizer_step(s, false);
  })->UseRealTime();
  benchmark::RegisterBenchmark("adamw_resnet50", [](auto& s) {
    optimizer_step(s, true);
  })->UseRealTime();
  benchmark::RegisterBenchmark("gradient_norm_resnet50", gradient_norm)->UseRealTime();
  benchmark::RegisterBenchmark("normalize_224", normalize_images)->UseRealTime();
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  benchmark::RunSpecifiedBenchmarks();
}
