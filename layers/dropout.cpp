#include "layers/dropout.h"

#include "core/random.h"

namespace graft {

void set_random_step(Module& root, uint64_t seed, uint64_t step) {
  each_module(root, [&](const std::string& path, Module& m) {
    auto* dropout = dynamic_cast<Dropout*>(&m);
    if (!dropout) return;
    auto key = Random(seed, "dropout/" + path).key();
    dropout->seed = uint64_t(key[1]) << 32 | key[0];
    dropout->step = step;
  });
}

}  // namespace graft
