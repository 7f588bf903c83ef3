// Several ways from one map, side by side: the channels of their results one after the other. The
// branches have no names of their own; their layers read as layers of the parent.
#pragma once
#include "layers/sequential.h"

namespace graft {

class Branches : public Module {
 public:
  Branches& add(Sequential branch) {
    branches_.push_back(std::move(branch));
    return *this;
  }
  Tensor forward(Tensor x) override {
    std::vector<Tensor> parts;
    for (Sequential& branch : branches_) parts.push_back(branch(x));
    return concat(parts);
  }
  std::string describe() const override { return fmt::format("Branches, {}", branches_.size()); }
  void fields(Visitor& v) override {
    for (Sequential& branch : branches_) v.child("", branch);
  }

 private:
  std::vector<Sequential> branches_;
};

}  // namespace graft
