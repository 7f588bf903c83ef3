// O1: one step over all parameters of ResNet-50 and VGG-16, as the flat arena has them, with a bf16
// copy.
#include "kernels/optimizer.h"

#include <memory>

#include "bench/cuda/timed.h"

namespace graft::bench {
namespace {

struct Arrays {
  Buffer grad, param, first, second, copy, step;
};

template <class T>
void put(const T& value, const Buffer& there) {
  cuda::copy(there.at(0), &value, sizeof value, {});
}

std::function<void(int)> steps(int64_t n, bool adamw, int sets) {
  auto a = std::make_shared<Arrays>(
      Buffer(DType::f32, n, sets), Buffer(DType::f32, n, sets), Buffer(DType::f32, n, sets),
      Buffer(DType::f32, adamw ? n : 1, sets), Buffer(DType::bf16, n, sets),
      Buffer(DType::f32, 8, 1));
  if (adamw)
    put(cuda::factors_of({.lr = 1e-6f, .weight_decay = 0, .step = 2}), a->step);
  else
    put(SgdStep{.lr = 1e-6f, .momentum = 0.9f}, a->step);
  return [=](int i) {
    const float* grad = a->grad.at<float>(i);
    float *param = a->param.at<float>(i), *first = a->first.at<float>(i);
    bf16* copy = a->copy.at<bf16>(i);
    if (adamw)
      cuda::adamw(a->step.at<cuda::AdamWFactors>(0), n, grad, nullptr, param, first,
                  a->second.at<float>(i), copy, {});
    else
      cuda::sgd(a->step.at<SgdStep>(0), n, grad, nullptr, param, first, copy, {});
  };
}

}  // namespace

void add_optimizer() {
  for (auto [network, n] :
       {std::pair("resnet50", int64_t(25557032)), {"vgg16", int64_t(138357544)}})
    for (bool adamw : {false, true}) {
      const double bytes = double(n) * (adamw ? 30 : 22);  // grad, param twice, moments twice, copy
      const int sets = sets_for(bytes);
      add({.name = std::string("O1/") + (adamw ? "adamw_" : "sgd_momentum_") + network + "/f32/own",
           .bytes = bytes,
           .math = cuda::GemmMath::f32,
           .prepare = [=, n = n] { return steps(n, adamw, sets); },
           .sets = sets});
    }
}

}  // namespace graft::bench
