#include "layers/random_layer.h"

#include "core/random.h"

namespace graft {

void set_random_step(Module& root, uint64_t seed, uint64_t step) {
  Device device = Device::cpu;
  each_param(root, [&](auto&, Param& p) { device = p.device(); });
  Tensor shared;
  each_module(root, [&](const std::string& path, Module& m) {
    auto* layer = dynamic_cast<RandomLayer*>(&m);
    if (!layer) return;
    auto key = Random(seed, "dropout/" + path).key();
    layer->seed = uint64_t(key[1]) << 32 | key[0];
    if (!shared.defined()) {
      const Tensor number = random_step(step);
      shared = layer->step.device() == device ? layer->step : number.clone(device);
      shared.copy_from(number);
    }
    layer->step = shared;
  });
}

}  // namespace graft
