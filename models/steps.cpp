#include "models/steps.h"

#include <algorithm>
#include <typeinfo>

namespace graft {

bool runs(const Step& step, const std::string& path) {
  return std::any_of(step.paths.begin(), step.paths.end(), [&](const std::string& at) {
    return path == at || path.starts_with(at + ".");
  });
}

void append(Steps& steps, const std::string& path, Sequential& chain) {
  const std::string before = path.empty() ? "" : path + ".";
  for (size_t i = 0; i < chain.size();) {
    const size_t end = chain.block_end(i);
    Module& first = chain[i];
    if (typeid(first) == typeid(Sequential)) {
      append(steps, before + chain.name(i), static_cast<Sequential&>(first));
    } else {
      Step step{{}, [&chain, i](Tensor x) { return chain.run_block(i, std::move(x)); }};
      for (size_t layer = i; layer < end; ++layer) step.paths.push_back(before + chain.name(layer));
      steps.push_back(std::move(step));
    }
    i = end;
  }
}

}  // namespace graft
