// A classifier that is one chain of layers: a trunk, the mean over its map, and a head whose last
// layer knows the classes. Most families of the zoo are one, with their own names.
#pragma once
#include "layers/sequential.h"
#include "models/classifier.h"

namespace graft {

class Chain : public Classifier {
 public:
  struct Part {
    std::string name;   // "features"; empty: its layers stand at the top
    Sequential layers;
  };
  // The head ends with a Linear layer; with dropout before it, that is head, too, and what comes
  // before belongs to the trunk, for it does not depend on the classes.
  Chain(Part trunk, Part head);

  Steps steps() override;
  Tensor head(Tensor features) override;
  std::string head_path() const override { return head_layer_path(head_.layers.size() - 1); }
  std::string describe() const override { return architecture; }
  void fields(Visitor& v) override;

 private:
  std::string head_layer_path(size_t i) const;
  Module& head_layer() override { return head_.layers[head_.layers.size() - 1]; }
  void set_head(std::unique_ptr<Module> layer) override;

  Part trunk_, head_;
  size_t varies_;  // first layer of the head that is no part of the trunk
};

}  // namespace graft
