// Layers in a row, named 0, 1, 2, ... or as published. A convolution followed by a norm and / or an
// activation runs as one block (conv_norm_act), so does a norm with its activation.
// With a residual it is activation(layers(x) + residual), all in the kernel of a last convolution.
#pragma once
#include <vector>

#include "core/ops.h"
#include "layers/module.h"

namespace graft {

class Sequential : public Module {
 public:
  template <class M> Sequential& add(M layer) {
    return add(std::to_string(size()), std::move(layer));
  }
  template <class M> Sequential& add(std::string name, M layer) {
    names_.push_back(std::move(name));
    layers_.push_back(std::make_unique<M>(std::move(layer)));
    return *this;
  }
  size_t size() const { return layers_.size(); }
  Module& operator[](size_t i) { return *layers_.at(i); }
  const std::string& name(size_t i) const { return names_.at(i); }
  void replace(size_t i, std::unique_ptr<Module> layer) { layers_.at(i) = std::move(layer); }

  // Layers [i, block_end(i)) run as one block; between two blocks a chain can be cut.
  size_t block_end(size_t i) const;
  Tensor run_block(size_t i, Tensor x);

  Tensor forward(Tensor x) override { return forward(std::move(x), {}); }
  Tensor forward(Tensor x, Tensor residual, Activation activation = Activation::none);
  std::string describe() const override { return fmt::format("Sequential of {}", size()); }
  void fields(Visitor& v) override;

 private:
  struct Block;  // a convolution, a norm and an activation, of which some are there, or any one layer
  Block block(size_t i) const;
  std::vector<std::string> names_;
  std::vector<std::unique_ptr<Module>> layers_;
};

}  // namespace graft
