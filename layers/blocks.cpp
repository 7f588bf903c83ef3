#include "layers/blocks.h"

#include "layers/batch_norm.h"
#include "layers/layer_norm.h"
#include "layers/sequential.h"

namespace graft {
namespace {

class Children : public Visitor {
 public:
  void param(std::string_view, Param&) override {}
  void buffer(std::string_view, Tensor&) override {}
  void child(std::string_view, Module& m) override { modules.push_back(&m); }
  std::vector<Module*> modules;
};

std::vector<Module*> children_of(Module& m) {
  Children children;
  m.fields(children);
  return children.modules;
}

bool is_simple(Module& m) { return children_of(m).empty(); }

// Of the layers of a convolution with its norm and activation, or of an attention's.
bool is_one_layer(Module& chain) {
  int with_weights = 0;
  for (Module* m : children_of(chain)) {
    if (!is_simple(*m)) return false;
    with_weights += parameter_count(*m) > 0 && !is_norm(*m);
  }
  return with_weights <= 1;
}

bool begins_with_norm(Module& chain) { return is_norm(*children_of(chain).front()); }

// A module that is not a chain itself but holds a long one: the encoder of a ViT.
bool holds_long_chain(Module& m) {
  for (Module* child : children_of(m)) {
    if (!dynamic_cast<Sequential*>(child)) continue;
    int blocks = 0;
    for (Module* part : children_of(*child))
      blocks += !is_simple(*part) && !dynamic_cast<Sequential*>(part);
    if (blocks >= 3) return true;
  }
  return false;
}

class Blocks : public Visitor {
 public:
  void param(std::string_view name, Param&) override { add(join(name)); }
  void buffer(std::string_view, Tensor&) override {}
  void child(std::string_view name, Module& m) override {
    if (parameter_count(m) == 0) return;
    const std::string outer = path_;
    path_ = join(name);
    const bool chain = dynamic_cast<Sequential*>(&m) &&
                       (name.empty() || !is_one_layer(m) || (depth_ == 0 && begins_with_norm(m)));
    if ((chain && depth_ < kDeepest) || (depth_ == 0 && holds_long_chain(m))) {
      const int level = name.empty() ? 0 : 1;  // without a name it only holds what is the parent's
      depth_ += level;
      m.fields(*this);
      depth_ -= level;
    } else {
      if (!is_norm(m) || blocks.empty()) blocks.push_back({path_, {}});
      each_param(m, [&](const std::string& below, Param&) { add(join(below)); });
    }
    path_ = outer;
  }

  std::vector<Block> blocks;

 private:
  static constexpr int kDeepest = 2;  // chains of stages of blocks; what is in those is one
  std::string join(std::string_view name) const {
    return path_.empty() || name.empty() ? path_ + std::string(name)
                                         : path_ + "." + std::string(name);
  }
  void add(const std::string& parameter) {
    if (blocks.empty())
      early_.push_back(parameter);
    else
      take(parameter);
  }
  void take(const std::string& parameter) {
    std::vector<std::string>& all = blocks.back().parameters;
    all.insert(all.end(), early_.begin(), early_.end());
    early_.clear();
    all.push_back(parameter);
  }

  std::string path_;
  int depth_ = 0;
  std::vector<std::string> early_;  // parameters before any block: they join the first
};

}  // namespace

bool is_norm(Module& m) { return dynamic_cast<BatchNorm2d*>(&m) || dynamic_cast<LayerNorm*>(&m); }

std::vector<Block> blocks_of(Module& model) {
  Blocks visitor;
  model.fields(visitor);
  std::erase_if(visitor.blocks, [](const Block& b) { return b.parameters.empty(); });
  return std::move(visitor.blocks);
}

}  // namespace graft
