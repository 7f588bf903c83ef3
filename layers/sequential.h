// Layers in a row, named 0, 1, 2, ... A convolution followed by a norm and / or an activation runs
// as one block (conv_norm_act); the names stay as published.
#pragma once
#include <vector>

#include "layers/module.h"

namespace graft {

class Sequential : public Module {
 public:
  template <class M> Sequential& add(M layer) {
    layers_.push_back(std::make_unique<M>(std::move(layer)));
    return *this;
  }
  size_t size() const { return layers_.size(); }
  Module& operator[](size_t i) { return *layers_.at(i); }
  void replace(size_t i, std::unique_ptr<Module> layer) { layers_.at(i) = std::move(layer); }

  Tensor forward(Tensor x) override;
  std::string describe() const override { return fmt::format("Sequential of {}", size()); }
  void fields(Visitor& v) override;

 private:
  std::vector<std::unique_ptr<Module>> layers_;
};

}  // namespace graft
