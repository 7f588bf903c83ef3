// One network, timed from outside: `model_bench MODEL BATCH infer|infer-bf16|train|head [THREADS]` prepares, prints
// "ready", then for every line on standard input runs one iteration and prints its seconds. So a
// script can take turns between this and a peer (bench/model_race.py).
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "core/autograd.h"
#include "core/device.h"
#include "core/ops.h"
#include "core/random.h"
#include "kernels/parallel.h"
#include "layers/optimizer.h"
#include "models/zoo.h"

namespace {

using namespace graft;

Tensor random_input(int64_t batch, int64_t side) {
  Tensor x({batch, side, side, 3});
  Random random(0, "bench");
  for (float* v = x.mutable_data(); v != x.mutable_data() + x.size(); ++v) *v = random.normal();
  return x;
}

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

// Of this program alone: ru_maxrss would count the process that started it, too.
long peak_rss_mb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6) / 1024;
  return 0;
}

void infer(Classifier& model, const Tensor& x) {
  NoGrad no_grad;
  model(x);
}

void train_step(Classifier& model, Optimizer& optimizer, const Tensor& x, const Tensor& labels) {
  optimizer.zero_grad();
  cross_entropy(model(x), labels).backward();
  optimizer.step(1e-4);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return std::puts("usage: model_bench MODEL BATCH infer|infer-bf16|train|head [THREADS]"), 64;
  int64_t batch = std::atoll(argv[2]);
  const std::string mode = argv[3];
  bool training = !mode.starts_with("infer");
  if (argc > 4) cpu::set_thread_count(std::atoi(argv[4]));
  auto model = make_model(argv[1], 1000);
  if (mode == "head" || mode == "infer-bf16") freeze(*model, "trunk");
  allow_bf16(mode == "infer-bf16");
  model->train(training);
  Tensor x = random_input(batch, model->preprocess.crop);
  Tensor labels = Tensor::zeros({batch}, DType::i32);
  std::unique_ptr<Optimizer> optimizer;
  if (training) optimizer = std::make_unique<Optimizer>(*model, OptimizerOptions{});
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    double begin = seconds();
    if (training) train_step(*model, *optimizer, x, labels);
    else infer(*model, x);
    std::printf("%.6f %ld\n", seconds() - begin, peak_rss_mb());
    std::fflush(stdout);
  }
}
