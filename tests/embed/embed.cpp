// Transfer learning with graft as a library: a trained network, a new head, one loop of your own.
#include <cstdio>

#include "core/ops.h"
#include "layers/accuracy.h"
#include "layers/optimizer.h"
#include "models/saved.h"

using namespace graft;

int main(int argc, char** argv) try {
  if (argc < 2) return std::puts("usage: embed MODEL.h5"), 64;
  auto model = load_model(argv[1]);        // 1, 2: a pretrained network
  model->replace_head(2, /*seed=*/1);      // 4: a new head for two classes
  freeze(*model, "trunk");                 // 3: everything else stays as it is
  Optimizer optimizer(*model, {.momentum = 0.9});

  Tensor images({8, 64, 64, 3});           // your data: (N,H,W,3), normalised; here two brightnesses
  Tensor labels({8}, DType::i32);
  for (int64_t i = 0; i < images.size(); ++i) images.mutable_data()[i] = i / 12288 % 2 ? 1.f : -1.f;
  for (int i = 0; i < 8; ++i) labels.mutable_data<int32_t>()[i] = i % 2;

  model->train();
  for (int step = 0; step < 100; ++step) { // 5: train
    optimizer.zero_grad();
    Tensor loss = cross_entropy((*model)(images), labels);
    loss.backward();
    optimizer.step(0.05);
    if (step % 20 == 19) std::printf("step %d  loss %.4f\n", step + 1, loss.item());
  }
  model->eval();
  std::printf("right: %d of 8\n", int(count_correct((*model)(images), labels)));
} catch (const Error& e) {
  return std::fprintf(stderr, "embed: %s\n", e.what()), int(e.fault);
}
