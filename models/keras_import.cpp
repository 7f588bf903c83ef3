#include "models/keras_import.h"

#include <algorithm>

#include "core/check.h"
#include "io/source_file.h"
#include "kernels/layout.h"

namespace graft {
namespace {

constexpr const char* kNormParts[] = {"gamma", "beta", "moving_mean", "moving_variance"};
constexpr const char* kNormTargets[] = {"weight", "bias", "running_mean", "running_var"};

struct Changed {
  Tensor values;
  std::string transform;
};

// (pixels, inputs, outputs) -> (outputs, inputs, pixels): kernels and dense matrices alike.
Tensor outputs_first(const Tensor& from, int64_t pixels, int64_t inputs, int64_t outputs, Shape shape) {
  Tensor rows({outputs, pixels, inputs}), result({outputs, inputs, pixels});
  cpu::transpose(1, pixels * inputs, outputs, from.data(), rows.mutable_data());
  cpu::transpose(outputs, pixels, inputs, rows.data(), result.mutable_data());
  return result.reshape(std::move(shape));
}

// Theano convolves where others correlate: its kernels are turned by 180 degrees.
void turn(Tensor& oihw) {
  float* kernel = oihw.mutable_data();
  int64_t pixels = oihw.dim(2) * oihw.dim(3);
  for (int64_t i = 0; i < oihw.size(); i += pixels) std::reverse(kernel + i, kernel + i + pixels);
}

// Keras 1 could keep kernels as (O,I,H,W); the bias, (O), tells. Ambiguous shapes are (H,W,I,O).
bool is_outputs_first(const KerasLayer& layer) {
  if (layer.weights.size() < 2) return false;
  const Tensor& kernel = layer.weights[0].values;
  int64_t outputs = layer.weights[1].values.dim(0);
  return kernel.dim(3) != outputs && kernel.dim(0) == outputs;
}

class Importer {
 public:
  Importer(KerasFile keras, const KerasNetwork& network, const std::string& file)
      : keras_(std::move(keras)), file_(file), targets_(match_layers(keras_, network)) {
    for (const KerasLayer& layer : keras_.layers)
      channels_first_ |= kind_of(layer) == KerasKind::conv && is_outputs_first(layer);
  }

  KerasTensors run() {
    for (size_t i = 0; i < keras_.layers.size(); ++i) {
      KerasLayer& layer = keras_.layers[i];
      if (!targets_[i]) keep(layer);
      else if (targets_[i]->kind == KerasKind::norm) add_norm(layer, *targets_[i]);
      else add_matrix(layer, *targets_[i]);
      layer.weights.clear();
    }
    return std::move(result_);
  }

 private:
  static std::string source(const KerasLayer& layer, const KerasWeight& weight) {
    bool whole = weight.name.starts_with(layer.name + "/");
    return whole ? weight.name : layer.name + "/" + weight.name;
  }

  void put(const std::string& target, const KerasLayer& layer, const KerasWeight& weight,
           Changed changed) {
    std::string from = source(layer, weight);
    GRAFT_CHECK(result_.tensors.emplace(target, std::move(changed.values)).second,
                "{}: {} and {} would both be {}", file_, escaped(result_.sources[target].name),
                escaped(from), escaped(target));
    result_.sources[target] = {from, std::move(changed.transform)};
  }

  void keep(const KerasLayer& layer) {
    for (const KerasWeight& weight : layer.weights)
      put(source(layer, weight), layer, weight, {weight.values, "kept"});
  }

  // Which of the four a vector is: by its name where all four have one, else by its place.
  static size_t part_of(const KerasLayer& layer, size_t place) {
    auto named = [&](size_t weight, const char* part) {
      return layer.weights[weight].name.find(part, layer.weights[weight].name.rfind('/') + 1) !=
             std::string::npos;
    };
    size_t known = 0, part = place;
    for (size_t weight = 0; weight < 4; ++weight)
      for (size_t p = 0; p < 4; ++p)
        if (named(weight, kNormParts[p])) {
          ++known;
          if (weight == place) part = p;
        }
    return known == 4 ? part : place;
  }

  void add_norm(const KerasLayer& layer, const KerasTarget& target) {
    for (size_t i = 0; i < 4; ++i) {
      size_t part = part_of(layer, i);
      put(target.published + "." + kNormTargets[part], layer, layer.weights[i],
          {layer.weights[i].values, kNormParts[part]});
    }
  }

  void add_matrix(const KerasLayer& layer, const KerasTarget& target) {
    Tensor values = layer.weights[0].values.to(DType::f32);
    put(target.published + ".weight", layer, layer.weights[0],
        target.kind == KerasKind::conv ? filter(layer, std::move(values))
                                       : matrix(values, target.map));
    if (layer.weights.size() == 2)
      put(target.published + ".bias", layer, layer.weights[1], {layer.weights[1].values, "kept"});
  }

  Changed filter(const KerasLayer& layer, Tensor k) const {
    bool ready = is_outputs_first(layer);
    Changed changed{k, "kept"};
    if (!ready)
      changed = {outputs_first(k, k.dim(0) * k.dim(1), k.dim(2), k.dim(3),
                               {k.dim(3), k.dim(2), k.dim(0), k.dim(1)}),
                 "HWIO -> OIHW"};
    int64_t pixels = changed.values.dim(2) * changed.values.dim(3);
    GRAFT_CHECK(!ready || !keras_.backend.empty() || pixels == 1,
                "{}: {}: its kernel is (O,I,H,W), as Theano's are, which are turned by 180 degrees, "
                "but no attribute backend says who wrote it; set that to theano or tensorflow, or "
                "save the model with a newer Keras",
                file_, escaped(layer.name));
    if (keras_.backend != "theano" || pixels == 1) return changed;
    changed.values = changed.values.clone();
    turn(changed.values);
    changed.transform += ready ? ": turned by 180 degrees" : ", turned by 180 degrees";
    return changed;
  }

  Changed matrix(const Tensor& k, int map) const {
    int64_t inputs = k.dim(0), outputs = k.dim(1), pixels = int64_t(map) * map;
    bool rows = pixels > 1 && inputs % pixels == 0 && !channels_first_;
    if (!rows) pixels = 1;
    return {outputs_first(k, pixels, inputs / pixels, outputs, {outputs, inputs}),
            rows ? "transpose, rows (H,W,C) -> (C,H,W)" : "transpose"};
  }

  KerasFile keras_;
  const std::string& file_;
  std::vector<const KerasTarget*> targets_;
  bool channels_first_ = false;
  KerasTensors result_;
};

}  // namespace

KerasTensors published(KerasFile keras, const KerasNetwork& network, const std::string& file) {
  return Importer(std::move(keras), network, file).run();
}

Preprocess with_keras_input(Preprocess preprocess, const KerasNetwork& network) {
  preprocess.bgr = true;
  preprocess.scale = 1;
  preprocess.mean = network.mean;
  preprocess.std = {1, 1, 1};
  return preprocess;
}

}  // namespace graft
