#include "models/head_form.h"

#include <charconv>

#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/cosine_head.h"
#include "layers/linear.h"
#include "layers/sequential.h"

namespace graft {
namespace {

constexpr int64_t kWidest = 65536;
constexpr std::string_view kMlp = "mlp:";

int64_t width_in(const std::string& text) {
  int64_t width = 0;
  const char* end = text.data() + text.size();
  auto [rest, wrong] = std::from_chars(text.data() + kMlp.size(), end, width);
  if (wrong != std::errc() || rest != end || width < 1 || width > kWidest)
    fail(Fault::usage, "head '{}': the width of an mlp is a number from 1 to {}: mlp:256", text,
         kWidest);
  return width;
}

Param& weights_of(Module& layer) {
  if (auto* conv = dynamic_cast<Conv2d*>(&layer)) return conv->weight;
  if (auto* cosine = dynamic_cast<CosineHead*>(&layer)) return cosine->weight;
  return dynamic_cast<Linear&>(layer).weight;
}

}  // namespace

HeadForm HeadForm::parse(const std::string& text) {
  if (text == "linear") return {};
  if (text == "cosine") return {Kind::cosine};
  if (text.starts_with(kMlp)) return {Kind::mlp, width_in(text)};
  fail(Fault::usage, "head '{}': is unknown; use linear, mlp:WIDTH or cosine", text);
}

std::string HeadForm::text() const {
  if (kind == Kind::mlp) return fmt::format("{}{}", kMlp, width);
  return kind == Kind::linear ? "linear" : "cosine";
}

std::unique_ptr<Module> make_head_layer(const HeadForm& form, int64_t features, int64_t classes,
                                        bool filter) {
  if (form.kind == HeadForm::Kind::cosine) return std::make_unique<CosineHead>(features, classes);
  if (form.kind == HeadForm::Kind::mlp) {
    auto layers = std::make_unique<Sequential>();
    layers->add(Linear(features, form.width)).add(relu_layer()).add(Linear(form.width, classes));
    return layers;
  }
  if (!filter) return std::make_unique<Linear>(features, classes);
  return std::make_unique<Conv2d>(features, classes, Conv2dOptions{.kernel = 1});
}

Param& class_weights(Module& layer) {
  auto* layers = dynamic_cast<Sequential*>(&layer);
  return weights_of(layers ? (*layers)[layers->size() - 1] : layer);
}

Param& feature_weights(Module& layer) {
  auto* layers = dynamic_cast<Sequential*>(&layer);
  return weights_of(layers ? (*layers)[0] : layer);
}

std::string class_weights_name(const HeadForm& form) {
  return form.kind == HeadForm::Kind::mlp ? "2.weight" : "weight";
}

}  // namespace graft
