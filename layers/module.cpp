#include "layers/module.h"

namespace graft {
namespace {

thread_local Watch* watching = nullptr;

using ModuleVisit = std::function<void(const std::string&, Module&)>;

std::string join(const std::string& path, std::string_view name) {
  if (path.empty() || name.empty()) return path + std::string(name);
  return path + "." + std::string(name);
}

// Shows a module and, after it, all that is below, each with its path.
class Walk : public Visitor {
 public:
  explicit Walk(std::string path) : path_(std::move(path)) {}
  std::function<void(const std::string&, Module&)> on_module = [](auto&, auto&) {};
  std::function<void(const std::string&, Param&)> on_param = [](auto&, auto&) {};
  std::function<void(const std::string&, Tensor&)> on_buffer = [](auto&, auto&) {};

  void param(std::string_view name, Param& p) override { on_param(join(path_, name), p); }
  void buffer(std::string_view name, Tensor& t) override { on_buffer(join(path_, name), t); }
  void child(std::string_view name, Module& m) override {
    std::string outer = path_;
    path_ = join(path_, name);
    on_module(path_, m);
    m.fields(*this);
    path_ = outer;
  }

 private:
  std::string path_;
};

class OwnParams : public Visitor {
 public:
  explicit OwnParams(bool wanted) : wanted_(wanted) {}
  void param(std::string_view, Param& p) override { p.requires_grad(wanted_); }
  void buffer(std::string_view, Tensor&) override {}
  void child(std::string_view, Module&) override {}

 private:
  bool wanted_;
};

}  // namespace

std::string_view Visitor::next(std::string_view& names) {
  size_t end = names.find(',');
  std::string_view name = names.substr(0, end);
  size_t start = end == names.npos ? names.npos : names.find_first_not_of(" \n", end + 1);
  names = start == names.npos ? std::string_view() : names.substr(start);
  return name;
}

Tensor Module::operator()(Tensor x) { return shown(*this, forward(std::move(x))); }

Watch::Watch(See see) : see_(std::move(see)), before_(watching) { watching = this; }
Watch::~Watch() { watching = before_; }

Tensor shown(const Module& module, Tensor y) {
  if (watching) watching->see_(module, y);
  return y;
}

void Module::own_requires_grad(bool wanted) {
  OwnParams own(wanted);
  fields(own);
}

void Module::train(bool on) {
  each_module(*this, [on](auto&, Module& m) { m.training_ = on; });
}

void Module::requires_grad(bool wanted) {
  each_module(*this, [wanted](auto&, Module& m) { m.own_requires_grad(wanted); });
}

void each_module(Module& root, const ModuleVisit& visit) {
  visit("", root);
  Walk walk("");
  walk.on_module = visit;
  root.fields(walk);
}

void each_param(Module& root, const std::function<void(const std::string&, Param&)>& visit) {
  Walk walk("");
  walk.on_param = visit;
  root.fields(walk);
}

void each_buffer(Module& root, const std::function<void(const std::string&, Tensor&)>& visit) {
  Walk walk("");
  walk.on_buffer = visit;
  root.fields(walk);
}

void move_to(Module& root, Device device) {
  auto move = [device](Tensor& t) {
    const bool counter = t.rank() == 0 && t.dtype() == DType::i64;
    if (t.device() == device || counter) return;
    t.rebind(t.to(device));
    t.set_grad({});
  };
  each_param(root, [&](auto&, Param& p) { move(p); });
  each_buffer(root, [&](auto&, Tensor& t) { move(t); });
}

int64_t parameter_count(Module& root, bool trained_only) {
  int64_t count = 0;
  each_param(root, [&](auto&, Param& p) { count += !trained_only || p.requires_grad() ? p.size() : 0; });
  return count;
}

}  // namespace graft
