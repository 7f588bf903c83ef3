#include "layers/sequential.h"

#include <algorithm>

#include "layers/activation.h"
#include "layers/conv_norm_act.h"

namespace graft {

struct Sequential::Block {
  Conv2d* conv = nullptr;
  BatchNorm2d* norm = nullptr;
  Activate* act = nullptr;
  size_t end = 0;

  Tensor run(Module& first, Tensor x) const {
    Activation own = act ? act->activation : Activation::none;
    if (conv) return conv_norm_act(std::move(x), *conv, norm, own);
    return norm ? norm->forward(x, own, {}) : first(std::move(x));
  }
};

Sequential::Block Sequential::block(size_t i) const {
  auto layer = [&]<class M>(size_t at, M*) {
    return at < layers_.size() ? dynamic_cast<M*>(layers_[at].get()) : nullptr;
  };
  Block b;
  b.conv = layer(i, b.conv);
  b.norm = layer(b.conv ? i + 1 : i, b.norm);
  b.end = i + size_t(std::max(bool(b.conv) + bool(b.norm), 1));
  b.act = b.conv || b.norm ? layer(b.end, b.act) : nullptr;
  if (b.act) ++b.end;
  return b;
}

size_t Sequential::block_end(size_t i) const { return block(i).end; }

Tensor Sequential::run_block(size_t i, Tensor x) {
  return block(i).run(*layers_.at(i), std::move(x));
}

Tensor Sequential::forward(Tensor x, Tensor residual, Activation activation) {
  for (size_t i = 0; i < layers_.size();) {
    const Block b = block(i);
    Module& first = *layers_[i];
    i = b.end;
    bool open = i == layers_.size() && !b.act;  // residual and activation may join this kernel
    auto* inner = dynamic_cast<Sequential*>(&first);
    if (b.conv && open)
      return conv_norm_act(std::move(x), *b.conv, b.norm, activation, std::move(residual));
    if (inner && open) return inner->forward(std::move(x), std::move(residual), activation);
    x = b.run(first, std::move(x));
  }
  return activate(residual.defined() ? graft::add(x, residual) : x, activation);
}

void Sequential::fields(Visitor& v) {
  for (size_t i = 0; i < layers_.size(); ++i) v.child(names_[i], *layers_[i]);
}

}  // namespace graft
