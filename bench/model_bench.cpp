// One network, timed from outside: `model_bench MODEL BATCH MODE [THREADS [cuda]]` prepares, prints
// "ready", then for every line on standard input runs one iteration and prints its seconds and the
// peak memory in MB. So a script can take turns between this and a peer (bench/model_race.py). On a
// CUDA device: in bf16, from bytes in its memory, as `graft train` does it, and its memory, the most
// since a line that says "afresh": a step holds less once it is captured than the first ones did.
//
//   infer, infer-bf16   a forward pass; in the second, of a frozen trunk in bf16
//   train               a training step of everything
//   layer4, head        likewise, of a ResNet's last stage and its head, of the head alone
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>

#include "core/autograd.h"
#include "core/device.h"
#include "core/ops.h"
#include "core/random.h"
#include "kernels/parallel.h"
#include "kernels/runtime.h"
#include "layers/optimizer.h"
#include "models/training_step.h"
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

void forget_device_peak() {
#ifdef GRAFT_WITH_CUDA
  cuda::reset_device_peak();
#endif
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

// One iteration after the other, on the processor or on a CUDA device.
std::function<void()> on_processor(Classifier& model, Optimizer* optimizer, int64_t batch) {
  Tensor x = random_input(batch, model.preprocess.crop);
  Tensor labels = Tensor::zeros({batch}, DType::i32);
  return [=, &model] {
    if (optimizer)
      train_step(model, *optimizer, x, labels);
    else
      infer(model, x);
  };
}

std::function<void()> on_cuda(Classifier& model, Optimizer* optimizer, int64_t size) {
  const int64_t side = model.preprocess.crop;
  Tensor bytes({size, side, side, 3}, DType::u8);
  Random random(0, "bench");
  for (uint8_t *v = bytes.mutable_data<uint8_t>(), *end = v + bytes.size(); v != end; ++v)
    *v = uint8_t(random.uniform() * 256);
  const Batch batch{.images = bytes.to(Device::cuda),
                    .labels = Tensor::zeros({size}, DType::i32).to(Device::cuda)};
  if (!optimizer)
    return [=, &model] {
      NoGrad no_grad;
      logits_of(model, batch).to(Device::cpu);  // which waits
    };
  auto step =
      std::make_shared<TrainingStep>(TrainingStep::Parts{.model = model, .optimizer = *optimizer});
  return
      [=, number = uint64_t(0)]() mutable { step->run(batch, {.step = number++, .rate = 1e-4}); };
}

// What stays, by mode.
const std::map<std::string, std::string> kFrozen{{"infer", "none"},
                                                 {"infer-bf16", "trunk"},
                                                 {"train", "none"},
                                                 {"layer4", "until:layer4"},
                                                 {"head", "trunk"}};

}  // namespace

int main(int argc, char** argv) {
  const std::string mode = argc < 4 ? "" : argv[3];
  if (!kFrozen.contains(mode))
    return std::puts("usage: model_bench MODEL BATCH infer|infer-bf16|train|layer4|head "
                     "[THREADS [cuda]]"),
           64;
  int64_t batch = std::atoll(argv[2]);
  bool training = !mode.starts_with("infer");
  if (argc > 4) cpu::set_thread_count(std::atoi(argv[4]));
  const bool cuda = argc > 5 && std::string(argv[5]) == "cuda";
  if (const std::string why = cuda ? why_no_cuda() : ""; !why.empty())
    return std::fprintf(stderr, "model_bench: %s\n", why.c_str()), 69;
  auto model = make_model(argv[1], 1000);
  if (cuda) model->place(Device::cuda, DType::bf16);
  freeze(*model, kFrozen.at(mode));
  allow_bf16(mode == "infer-bf16");
  model->train(training);
  std::unique_ptr<Optimizer> optimizer;
  if (training)
    optimizer =
        std::make_unique<Optimizer>(*model, OptimizerOptions{.read_as = model->activations()});
  auto iterate =
      cuda ? on_cuda(*model, optimizer.get(), batch) : on_processor(*model, optimizer.get(), batch);
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    if (cuda && line == "afresh") forget_device_peak();
    double begin = seconds();
    iterate();
    std::printf("%.6f %ld\n", seconds() - begin,
                cuda ? long(peak_cuda_bytes() >> 20) : peak_rss_mb());
    std::fflush(stdout);
  }
}
