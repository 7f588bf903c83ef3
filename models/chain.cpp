#include "models/chain.h"

#include "layers/dropout.h"

namespace graft {

Chain::Chain(Part trunk, Part head)
    : trunk_(std::move(trunk)), head_(std::move(head)), varies_(head_.layers.size() - 1) {
  if (varies_ > 0 && dynamic_cast<Dropout*>(&head_.layers[varies_ - 1])) --varies_;
}

Tensor Chain::trunk(Tensor x) {
  x = trunk_.layers(std::move(x));
  if (x.rank() == 4) x = global_avg_pool(x);
  for (size_t i = 0; i < varies_; ++i) x = head_.layers[i](std::move(x));
  return x;
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

bool Chain::in_trunk(const std::string& path) const {
  for (size_t i = varies_; i < head_.layers.size(); ++i)
    if (path == head_layer_path(i) || path.starts_with(head_layer_path(i) + ".")) return false;
  return true;
}

void Chain::set_head(std::unique_ptr<Module> layer) {
  head_.layers.replace(head_.layers.size() - 1, std::move(layer));
}

}  // namespace graft
