#include "models/chain.h"

#include "layers/dropout.h"

namespace graft {

Chain::Chain(Part trunk, Part head)
    : trunk_(std::move(trunk)), head_(std::move(head)), varies_(head_.layers.size() - 1) {
  if (varies_ > 0 && dynamic_cast<Dropout*>(&head_.layers[varies_ - 1])) --varies_;
}

Steps Chain::steps() {
  Steps steps;
  append(steps, trunk_.name, trunk_.layers);
  steps.push_back({{}, [](Tensor x) { return x.rank() == 4 ? global_avg_pool(x) : x; }});
  for (size_t i = 0; i < varies_; ++i)
    steps.push_back({{head_layer_path(i)},
                     [this, i](Tensor x) { return head_.layers[i](std::move(x)); }});
  return steps;
}

Tensor Chain::head(Tensor features) {
  for (size_t i = varies_; i < head_.layers.size(); ++i)
    features = head_.layers[i](std::move(features));
  return features;
}

void Chain::fields(Visitor& v) {
  v.child(trunk_.name, trunk_.layers);
  v.child(head_.name, head_.layers);
}

std::string Chain::head_layer_path(size_t i) const {
  return head_.name.empty() ? head_.layers.name(i) : head_.name + "." + head_.layers.name(i);
}

void Chain::set_head(std::unique_ptr<Module> layer) {
  head_.layers.replace(head_.layers.size() - 1, std::move(layer));
}

}  // namespace graft
