#include "models/head_form.h"

#include <charconv>

#include "layers/activation.h"
#include "layers/conv2d.h"
#include "layers/cosine_head.h"
#include "layers/linear.h"
#include "layers/neighbour_head.h"
#include "layers/sequential.h"

namespace graft {
namespace {

constexpr int64_t kWidest = 65536, kMostImages = 1'000'000;
constexpr std::string_view kMlp = "mlp:", kNeighbours = "knn:";

// 0 where it is no number from 1 to `most`.
int64_t count_in(std::string_view text, int64_t most) {
  int64_t count = 0;
  const char* end = text.data() + text.size();
  auto [rest, wrong] = std::from_chars(text.data(), end, count);
  return wrong == std::errc() && rest == end && count >= 1 && count <= most ? count : 0;
}

HeadForm mlp_in(const std::string& text) {
  const int64_t width = count_in(std::string_view(text).substr(kMlp.size()), kWidest);
  if (width) return {HeadForm::Kind::mlp, width};
  fail(Fault::usage, "head '{}': the width of an mlp is a number from 1 to {}: mlp:256", text, kWidest);
}

HeadForm neighbours_in(const std::string& text) {
  const std::string_view counts = std::string_view(text).substr(kNeighbours.size());
  const size_t colon = counts.find(':');
  const HeadForm form{HeadForm::Kind::neighbours, count_in(counts.substr(0, colon), kMostImages),
                      colon == counts.npos ? 0 : count_in(counts.substr(colon + 1), kMostImages)};
  if (form.width && (form.stored || colon == counts.npos)) return form;
  fail(Fault::usage, "head '{}': the neighbours that vote are a number from 1 to {}: knn:20", text,
       kMostImages);
}

Param& weights_of(Module& layer) {
  if (auto* conv = dynamic_cast<Conv2d*>(&layer)) return conv->weight;
  if (auto* cosine = dynamic_cast<CosineHead*>(&layer)) return cosine->weight;
  if (auto* neighbours = dynamic_cast<NeighbourHead*>(&layer)) return neighbours->weight;
  return dynamic_cast<Linear&>(layer).weight;
}

}  // namespace

HeadForm HeadForm::parse(const std::string& text) {
  if (text == "linear") return {};
  if (text == "cosine") return {Kind::cosine};
  if (text.starts_with(kMlp)) return mlp_in(text);
  if (text.starts_with(kNeighbours)) return neighbours_in(text);
  fail(Fault::usage, "head '{}': is unknown; use linear, mlp:WIDTH, cosine or knn:NEIGHBOURS", text);
}

std::string HeadForm::text() const {
  if (kind == Kind::mlp) return fmt::format("{}{}", kMlp, width);
  if (kind == Kind::neighbours)
    return fmt::format("{}{}{}", kNeighbours, width, stored ? fmt::format(":{}", stored) : "");
  return kind == Kind::linear ? "linear" : "cosine";
}

std::unique_ptr<Module> make_head_layer(const HeadForm& form, int64_t features, int64_t classes,
                                        bool filter) {
  if (form.kind == HeadForm::Kind::cosine) return std::make_unique<CosineHead>(features, classes);
  if (form.kind == HeadForm::Kind::neighbours) {
    if (form.stored == 0)
      fail(Fault::usage, "head '{}': its images are stored by training; ask for it with --head {}",
           form.text(), form.text());
    return std::make_unique<NeighbourHead>(features, classes, form.width, form.stored);
  }
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
  if (auto* neighbours = dynamic_cast<NeighbourHead*>(&layer)) return neighbours->images;
  auto* layers = dynamic_cast<Sequential*>(&layer);
  return weights_of(layers ? (*layers)[0] : layer);
}

std::string class_weights_name(const HeadForm& form) {
  return form.kind == HeadForm::Kind::mlp ? "2.weight" : "weight";
}

}  // namespace graft
