#include "layers/freeze.h"

#include <fnmatch.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "layers/blocks.h"

namespace graft {
namespace {

struct Layer {
  std::string path;
  Module* module;
  int64_t parameters;  // of its own
};

class CountOwn : public Visitor {
 public:
  void param(std::string_view, Param& p) override {
    total += p.size();
    trained += p.requires_grad() ? p.size() : 0;
  }
  void buffer(std::string_view, Tensor&) override {}
  void child(std::string_view, Module&) override {}
  int64_t total = 0, trained = 0;
};

// Lets those of a module's own parameters learn that `chosen` says.
class SomeOwn : public Visitor {
 public:
  explicit SomeOwn(std::function<bool(std::string_view)> chosen) : chosen_(std::move(chosen)) {}
  void param(std::string_view name, Param& p) override {
    if (chosen_(name)) p.requires_grad(true);
  }
  void buffer(std::string_view, Tensor&) override {}
  void child(std::string_view, Module&) override {}

 private:
  std::function<bool(std::string_view)> chosen_;
};

std::vector<Layer> layers_of(Module& model) {
  std::vector<Layer> layers;
  each_module(model, [&](const std::string& path, Module& m) {
    CountOwn own;
    m.fields(own);
    if (!path.empty() || own.total) layers.push_back({path, &m, own.total});
  });
  return layers;
}

bool under(const std::string& path, const std::string& at) {
  return path == at || path.starts_with(at + ".");
}

[[noreturn]] void unknown(Module& model, const std::string& term, const std::string& name) {
  std::vector<std::string> names;
  for (const Layer& layer : layers_of(model)) names.push_back(layer.path);
  each_param(model, [&](const std::string& path, Param&) { names.push_back(path); });
  fail(Fault::usage, "freeze plan: '{}' matches no layer of this model; the nearest names are {}",
       term, enumerate(nearest_names(name, names, 5)));
}

void freeze_until(Module& model, const std::string& term, const std::string& name) {
  std::vector<Layer> layers = layers_of(model);
  auto stop = std::find_if(layers.begin(), layers.end(), [&](auto& l) { return l.path == name; });
  if (stop == layers.end()) unknown(model, term, name);
  for (auto layer = layers.begin(); layer != stop; ++layer) layer->module->own_requires_grad(false);
}

void freeze_share(Module& model, const std::string& term) {
  size_t end = 0;
  double percent = -1;
  try {
    percent = std::stod(term, &end);
  } catch (const std::exception&) {
  }
  if (end + 1 != term.size() || !(percent >= 0 && percent <= 100))
    fail(Fault::usage, "freeze plan: '{}' is not a percentage from 0% to 100%", term);
  std::vector<Layer> layers = layers_of(model);
  std::erase_if(layers, [](auto& l) { return l.parameters == 0; });
  size_t count = size_t(std::floor(double(layers.size()) * percent / 100));
  for (size_t i = 0; i < count; ++i) layers[i].module->own_requires_grad(false);
}

void freeze_matching(Module& model, const std::string& term) {
  bool learn = term.starts_with("!");
  std::string pattern = learn ? term.substr(1) : term;
  bool hit = false;
  auto matches = [&](const std::string& path) {
    return fnmatch(pattern.c_str(), path.c_str(), 0) == 0;
  };
  for (const Layer& layer : layers_of(model)) {
    if (!matches(layer.path)) continue;
    layer.module->requires_grad(learn);
    hit = true;
  }
  each_param(model, [&](const std::string& path, Param& p) {
    if (!matches(path)) return;
    p.requires_grad(learn);
    hit = true;
  });
  if (!hit) unknown(model, term, pattern);
}

// All stays but the head and what `learns` says of a layer's own parameters, by their names; whether
// that is anything.
bool freeze_all_but(Module& model, const std::string& head,
                    const std::function<bool(Module&, std::string_view)>& learns) {
  bool any = false;
  each_module(model, [&](const std::string& path, Module& m) {
    if (!under(path, head)) m.own_requires_grad(false);
  });
  each_module(model, [&](const std::string& path, Module& m) {
    if (under(path, head)) return;
    SomeOwn wake([&](std::string_view name) {
      const bool learning = learns(m, name);
      any |= learning;
      return learning;
    });
    m.fields(wake);
  });
  return any;
}

void freeze_all_but_norms(Module& model, const std::string& head) {
  if (!freeze_all_but(model, head, [](Module& m, std::string_view) { return is_norm(m); }))
    fail(Fault::usage, "freeze plan: 'norm-only': this network has no norm layer; use bias-only or trunk");
}

void freeze_all_but_biases(Module& model, const std::string& head) {
  if (!freeze_all_but(model, head, [](Module&, std::string_view name) { return name.ends_with("bias"); }))
    fail(Fault::usage, "freeze plan: 'bias-only': this network has no bias before its head; use norm-only "
         "or trunk");
}

// A norm whose parameters all stay, by whatever term, is frozen as a whole; a frozen one of which a
// single parameter was asked to learn keeps its statistics.
void settle_norms(Module& model) {
  each_module(model, [&](auto&, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (!norm) return;
    bool gamma = norm->weight.requires_grad(), beta = norm->bias.requires_grad();
    if (!gamma && !beta) {
      norm->policy(NormPolicy::frozen);
    } else if (norm->policy() == NormPolicy::frozen) {
      norm->policy(NormPolicy::affine);
      norm->weight.requires_grad(gamma);
      norm->bias.requires_grad(beta);
    }
  });
}

void set_norms(Module& model, const NormTerm& term) {
  bool named = false, found = term.layers == "*";  // all of none is all right
  for (const Layer& layer : layers_of(model)) {
    if (fnmatch(term.layers.c_str(), layer.path.c_str(), 0) != 0) continue;
    named = true;
    each_module(*layer.module, [&](auto&, Module& m) {
      auto* norm = dynamic_cast<BatchNorm2d*>(&m);
      if (!norm) return;
      norm->policy(term.policy);
      found = true;
    });
  }
  const std::string text = fmt::format("bn={}@{}", name_of(term.policy), term.layers);
  if (!named) unknown(model, text, term.layers);
  if (!found) fail(Fault::usage, "freeze plan: '{}': there is no norm layer there", text);
}

NormPolicy policy_named(const std::string& name) {
  for (auto p : {NormPolicy::frozen, NormPolicy::affine, NormPolicy::stats, NormPolicy::train})
    if (name == name_of(p)) return p;
  fail(Fault::usage, "freeze plan: bn={} is unknown; use frozen, affine, stats or train", name);
}

}  // namespace

FreezePlan FreezePlan::parse(const std::string& text) {
  FreezePlan plan;
  for (const std::string& term : split(text, ", \t\n")) {
    if (!term.starts_with("bn=")) {
      plan.terms.push_back(term);
      continue;
    }
    const size_t at = std::min(term.find('@'), term.size());
    const std::string layers = at < term.size() ? term.substr(at + 1) : "*";
    if (layers == "*") plan.norms.clear();  // what came before counts no more
    plan.norms.push_back({policy_named(term.substr(3, at - 3)), layers});
  }
  if (plan.terms.empty()) plan.terms.push_back("none");
  return plan;
}

std::string FreezePlan::text() const {
  std::string text;
  for (const std::string& term : terms) text += (text.empty() ? "" : ",") + term;
  for (const NormTerm& term : norms) {
    text += std::string(",bn=") + name_of(term.policy);
    if (term.layers != "*") text += "@" + term.layers;
  }
  return text;
}

void freeze(Module& model, const FreezePlan& plan, const std::string& head) {
  each_module(model, [](auto&, Module& m) {
    if (auto* norm = dynamic_cast<BatchNorm2d*>(&m)) norm->policy(NormPolicy::train);
    else m.own_requires_grad(true);
  });
  for (const std::string& term : plan.terms) {
    if (term == "none") continue;
    if (term == "trunk") {
      each_module(model, [&](const std::string& path, Module& m) {
        if (!under(path, head)) m.own_requires_grad(false);
      });
    } else if (term == "bias-only") {
      freeze_all_but_biases(model, head);
    } else if (term == "norm-only") {
      freeze_all_but_norms(model, head);
    } else if (term.starts_with("until:")) {
      freeze_until(model, term, term.substr(6));
    } else if (term.ends_with("%")) {
      freeze_share(model, term);
    } else {
      freeze_matching(model, term);
    }
  }
  settle_norms(model);
  for (const NormTerm& term : plan.norms) set_norms(model, term);
}

std::vector<FreezeRow> freeze_table(Module& model) {
  std::vector<FreezeRow> rows;
  for (const Layer& layer : layers_of(model)) {
    CountOwn own;
    layer.module->fields(own);
    if (own.total) rows.push_back({layer.path, layer.module->describe(), own.total, own.trained});
  }
  return rows;
}

std::vector<std::pair<std::string, Tensor>> frozen_tensors(Module& model) {
  std::vector<std::pair<std::string, Tensor>> frozen;
  each_param(model, [&](const std::string& path, Param& p) {
    if (!p.requires_grad()) frozen.emplace_back(path, p);
  });
  each_module(model, [&](const std::string& path, Module& m) {
    auto* norm = dynamic_cast<BatchNorm2d*>(&m);
    if (!norm || norm->policy() == NormPolicy::train || norm->policy() == NormPolicy::stats) return;
    frozen.emplace_back(path + ".running_mean", norm->running_mean);
    frozen.emplace_back(path + ".running_var", norm->running_var);
    frozen.emplace_back(path + ".num_batches_tracked", norm->num_batches_tracked);
  });
  return frozen;
}

}  // namespace graft
