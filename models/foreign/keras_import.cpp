#include "models/foreign/keras_import.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/check.h"
#include "io/source_file.h"
#include "kernels/layout.h"
#include "models/foreign/keras_settings.h"

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
    require_settings(keras_, targets_, network, file);
    for (const KerasLayer& layer : keras_.layers)
      channels_first_ |= kind_of(layer) == KerasKind::conv && is_outputs_first(layer);
  }

  KerasTensors run() {
    for (size_t i = 0; i < keras_.layers.size(); ++i) {
      KerasLayer& layer = keras_.layers[i];
      if (targets_[i])
        add(layer, *targets_[i]);
      else
        keep(layer);
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

  void add(const KerasLayer& layer, const KerasTarget& target) {
    const auto& weights = layer.weights;
    switch (target.kind) {
      case KerasKind::norm:
        return add_norm(layer, target);
      case KerasKind::input:
        return take_input(layer);
      case KerasKind::layer_norm:
        for (size_t i = 0; i < 2; ++i)
          put(target.published + "." + kNormTargets[i], layer, weights[i],
              {weights[i].values, kNormParts[i]});
        return;
      case KerasKind::scale:
        return put(target.published, layer, weights[0],
                   {weights[0].values.reshape({weights[0].values.size(), 1, 1}), "(C) -> (C,1,1)"});
      default:
        return add_matrix(layer, target);
    }
  }

  // Pixels become (x / 255 - mean) / sqrt(variance). The variance of EfficientNet's published files
  // is the deviation, by whose root a layer without weights divides once more.
  void take_input(const KerasLayer& layer) {
    Tensor mean = layer.weights[0].values.to(DType::f32),
           var = layer.weights[1].values.to(DType::f32);
    GRAFT_CHECK(mean.size() == 3 && var.size() == 3,
                "{}: {}: {} means and {} variances of three colours", file_, escaped(layer.name),
                mean.size(), var.size());
    constexpr float kPublished[] = {0.229f, 0.224f, 0.225f};
    bool published = true;
    for (int i = 0; i < 3; ++i) published &= std::abs(var.data()[i] - kPublished[i]) < 1e-6f;
    KerasInput input{1.0f / 255, {}, {}};
    for (size_t i = 0; i < 3; ++i) {
      float value = var.data()[i];
      GRAFT_CHECK(value > 0, "{}: {}: a variance of {}", file_, escaped(layer.name), value);
      input.mean[i] = mean.data()[i];
      input.deviation[i] = published ? value : std::sqrt(value);
    }
    result_.input = input;
  }

  // Which of the four a vector is: by its name where all have one, else by its place among those
  // that the norm has.
  std::vector<size_t> parts_of(const KerasLayer& layer, const KerasTarget& target) const {
    std::vector<size_t> parts;
    for (const KerasWeight& weight : layer.weights)
      for (size_t part = 0; part < 4; ++part)
        if (weight.name.find(kNormParts[part], weight.name.rfind('/') + 1) != weight.name.npos)
          parts.push_back(part);
    if (std::set(parts.begin(), parts.end()).size() == layer.weights.size()) return parts;
    switch (layer.weights.size()) {
      case 4:
        return {0, 1, 2, 3};
      case 2:
        return {2, 3};
      default:
        return {has_gamma(layer, target) ? 0u : 1u, 2, 3};
    }
  }

  bool has_gamma(const KerasLayer& layer, const KerasTarget& target) const {  // or beta, of the two
    std::vector<KerasSettings> settings = keras_.settings_of(layer);
    GRAFT_CHECK(
        !settings.empty() || !target.gamma,
        "{}: {}: three vectors, and nothing says whether gamma or beta lacks; save the whole "
        "model with model.save(\"NAME.keras\")",
        file_, escaped(layer.name));
    return settings.empty() ? target.gamma : settings[0].scale;
  }

  void add_norm(const KerasLayer& layer, const KerasTarget& target) {
    std::vector<size_t> parts = parts_of(layer, target);
    for (size_t i = 0; i < parts.size(); ++i)
      put(target.published + "." + kNormTargets[parts[i]], layer, layer.weights[i],
          {layer.weights[i].values, kNormParts[parts[i]]});
    for (size_t part = 0; part < 2; ++part) {
      if (std::find(parts.begin(), parts.end(), part) != parts.end()) continue;
      Tensor constant = Tensor::full(layer.weights[0].values.shape(), part == 0 ? 1.0f : 0.0f);
      std::string name = target.published + "." + kNormTargets[part];
      result_.tensors.emplace(name, constant);
      result_.sources[name] = {
          layer.name,
          fmt::format("{}s: it has no {}", part == 0 ? "one" : "zero", kNormParts[part])};
    }
  }

  void add_matrix(const KerasLayer& layer, const KerasTarget& target) {
    Tensor values = layer.weights[0].values.to(DType::f32);
    put(target.published + ".weight", layer, layer.weights[0],
        target.kind == KerasKind::dense  ? matrix(values, target.map)
        : target.kind == KerasKind::conv ? filter(layer, std::move(values))
                                         : depthwise(values));
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

  // (H,W,C,M) -> (CM,1,H,W): M filters for each channel.
  Changed depthwise(const Tensor& k) const {
    int64_t pixels = k.dim(0) * k.dim(1), filters = k.dim(2) * k.dim(3);
    Changed changed{outputs_first(k, pixels, 1, filters, {filters, 1, k.dim(0), k.dim(1)}),
                    "HWCM -> (CM,1,H,W)"};
    if (keras_.backend == "theano" && pixels > 1) {
      turn(changed.values);
      changed.transform += ", turned by 180 degrees";
    }
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

Preprocess with_keras_input(Preprocess preprocess, const KerasInput& input) {
  preprocess.bgr = input.bgr;
  preprocess.scale = input.scale;
  preprocess.mean = input.mean;
  preprocess.std = input.deviation;
  return preprocess;
}

}  // namespace graft
