// A module is forward() plus one line GRAFT_FIELDS(conv1, bn1, ...): names, saving, loading,
// freezing, counting and printing follow from walking those fields. Param is what training may
// change, a plain Tensor field is a buffer (running statistics): the difference is the type.
// train() and requires_grad() are two switches that never touch each other.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/tensor.h"

namespace graft {

// How a parameter's values are ordered in files, where published shapes and orders are kept.
enum class FileLayout {
  same,         // vectors and plain matrices
  filter_oihw,  // in memory (O,H,W,I)
  columns_chw,  // (O, C*H*W) for a linear layer on a flattened map; in memory (O, H*W*C)
};

struct Param : Tensor {
  Param() = default;
  explicit Param(Shape shape, FileLayout layout = FileLayout::same) : Tensor(std::move(shape)), layout(layout) {
    requires_grad(true);
  }
  using Tensor::requires_grad;
  FileLayout layout = FileLayout::same;
  int64_t map_h = 1, map_w = 1;  // of the flattened map, for columns_chw
};

class Module;

class Visitor {  // is shown the direct fields of one module
 public:
  virtual ~Visitor() = default;
  virtual void param(std::string_view name, Param& p) = 0;
  virtual void buffer(std::string_view name, Tensor& t) = 0;
  virtual void child(std::string_view name, Module& m) = 0;

  template <class... Fields> void fields(std::string_view names, Fields&... f) {
    (field(next(names), f), ...);
  }
  void field(std::string_view name, Param& p) { if (p.defined()) param(name, p); }
  void field(std::string_view name, Tensor& t) { if (t.defined()) buffer(name, t); }
  void field(std::string_view name, Module& m) { child(name, m); }
  template <class M> void field(std::string_view name, std::unique_ptr<M>& m) { if (m) child(name, *m); }

 private:
  static std::string_view next(std::string_view& names);
};

class Module {
 public:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;

  // By value: a block that moves its input on lets its storage be reused early.
  virtual Tensor forward(Tensor x) = 0;
  Tensor operator()(Tensor x);  // forward(x), which a Watch sees

  virtual void fields(Visitor&) {}
  virtual std::string describe() const = 0;  // "Conv2d 64 -> 128, 3x3, stride 2": for tables

  void train(bool on = true);          // this module and all below
  void eval() { train(false); }
  bool training() const { return training_; }

  void requires_grad(bool wanted);     // this module and all below
  virtual void own_requires_grad(bool wanted);  // this module's direct parameters

 private:
  bool training_ = false;
};

// While one lives, it is shown what modules return on this thread, inner ones before outer ones.
class Watch {
 public:
  using See = std::function<void(const Module& module, const Tensor& y)>;
  explicit Watch(See see);
  ~Watch();
  Watch(const Watch&) = delete;

 private:
  friend Tensor shown(const Module&, Tensor);
  See see_;
  Watch* before_;
};
Tensor shown(const Module& module, Tensor y);  // y; for modules that run without being called

#define GRAFT_FIELDS(...) \
  void fields(::graft::Visitor& v) override { v.fields(#__VA_ARGS__, __VA_ARGS__); }

// Walks of the whole tree, in the order of execution, which is the order of the fields.
// Paths are the published names: "layer1.0.conv1.weight". The root's own path is "". A child shown
// under the name "" has its parent's path: its fields read as the parent's own.
void each_module(Module& root, const std::function<void(const std::string& path, Module&)>& visit);
void each_param(Module& root, const std::function<void(const std::string& path, Param&)>& visit);
void each_buffer(Module& root, const std::function<void(const std::string& path, Tensor&)>& visit);

// Parameters and buffers with all handles on them; counters, integers of one element, stay on the
// processor. Gradients do not come along: build an optimizer afterwards.
void move_to(Module& root, Device device);

int64_t parameter_count(Module& root, bool trained_only = false);

}  // namespace graft
