#include "models/foreign/keras_settings.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/check.h"
#include "io/source_file.h"
#include "layers/batch_norm.h"
#include "layers/conv2d.h"
#include "layers/layer_norm.h"
#include "models/zoo.h"

namespace graft {
namespace {

// Both are shown where they differ.
struct Value {
  std::string keras, ours;
};

Value epsilon(double keras, float ours) {
  bool equal = std::abs(keras - double(ours)) <= 1e-5 * double(ours);
  return equal ? Value{} : Value{fmt::format("epsilon {}", keras), fmt::format("epsilon {}", ours)};
}

std::string padding_text(const std::array<int, 4>& p, bool same) {
  return same ? "padding \"same\"" : fmt::format("padding {}", p);
}

// Numbers, before and after, that are what "same" is for a filter that reaches `reach` pixels
// beyond its first: at stride 1 always, at others for an even or for an odd side.
bool is_same(int before, int after, int reach, int stride) {
  bool even = before + after == std::max(0, reach + 1 - stride) && before == (before + after) / 2;
  bool odd = before + after == reach && before == after;
  return even || odd;
}

// A file has the numbers of a layer before and then "same" or nothing; a row has one or the other.
// A row with numbers at a stride is not "same": its sides are padded alike, whatever their size.
bool pads_alike(const KerasSettings& keras, const Conv2d& ours) {
  const std::array<int, 4> none{};
  if (keras.same && keras.padding != none) return false;
  if (keras.same && ours.same) return true;
  if (!keras.same && !ours.same) return keras.padding == ours.spec.padding;
  const std::array<int, 4>& numbers = ours.same ? keras.padding : ours.spec.padding;
  for (int side = 0; side < 2; ++side) {
    const int reach = ours.spec.dilation[side] * (int(ours.weight.dim(1 + side)) - 1);
    const int stride = ours.spec.stride[side];
    bool fixed = stride == 1 || reach == 0;  // "same" is the same numbers for every side
    if (!fixed && !ours.same) return false;
    if (!is_same(numbers[side], numbers[side + 2], reach, stride)) return false;
  }
  return true;
}

Value convolution(const KerasSettings& keras, const Conv2d& ours) {
  if (keras.stride != ours.spec.stride)
    return {fmt::format("stride {}", keras.stride), fmt::format("stride {}", ours.spec.stride)};
  if (keras.dilation != ours.spec.dilation)
    return {fmt::format("dilation {}", keras.dilation),
            fmt::format("dilation {}", ours.spec.dilation)};
  if (pads_alike(keras, ours)) return {};
  return {padding_text(keras.padding, keras.same), padding_text(ours.spec.padding, ours.same)};
}

Value difference(const KerasSettings& keras, const Module& ours) {
  if (auto* conv = dynamic_cast<const Conv2d*>(&ours); conv && keras.convolves)
    return convolution(keras, *conv);
  if (!keras.epsilon) return {};
  if (auto* norm = dynamic_cast<const BatchNorm2d*>(&ours))
    return epsilon(*keras.epsilon, norm->eps);
  if (auto* norm = dynamic_cast<const LayerNorm*>(&ours)) return epsilon(*keras.epsilon, norm->eps);
  return {};
}

}  // namespace

void require_settings(const KerasFile& keras, const std::vector<const KerasTarget*>& targets,
                      const KerasNetwork& network, const std::string& file) {
  if (keras.settings.empty()) return;
  auto model = build_model(network.architecture, 1);
  std::map<std::string, const Module*> modules;
  each_module(*model, [&](const std::string& path, Module& m) { modules[path] = &m; });
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i] || !modules.contains(targets[i]->published)) continue;
    const KerasLayer& layer = keras.layers[i];
    for (const KerasSettings& settings : keras.settings_of(layer)) {
      Value value = difference(settings, *modules[targets[i]->published]);
      GRAFT_CHECK(
          value.keras.empty(),
          "{}: {}: the model has {}, {} has {}: it is another network, whose weights would give "
          "other answers here",
          file, escaped(layer.name), value.keras, network.architecture, value.ours);
    }
  }
}

}  // namespace graft
