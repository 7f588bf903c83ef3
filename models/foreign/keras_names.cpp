#include "models/foreign/keras_names.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/check.h"
#include "layers/state.h"
#include "models/zoo.h"

namespace graft {
namespace {

using Targets = std::vector<KerasTarget>;

constexpr KerasInput kCaffe{1, {103.939f, 116.779f, 123.68f}, {1, 1, 1}, /*bgr=*/true};
constexpr KerasInput kSqueezeNet{1, {104, 117, 123}, {1, 1, 1}, /*bgr=*/true};
constexpr KerasInput kTorch{1.0f / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}};
constexpr KerasInput kTf{1.0f / 255, {0.5f, 0.5f, 0.5f}, {0.5f, 0.5f, 0.5f}};  // -1..1

KerasTarget conv(std::string keras, std::string published, std::string older = "") {
  return {KerasKind::conv, std::move(keras), std::move(published), std::move(older)};
}

KerasTarget norm(std::string keras, std::string published, std::string older = "") {
  return {KerasKind::norm, std::move(keras), std::move(published), std::move(older)};
}

KerasTarget dense(std::string keras, std::string published, std::string older = "", int map = 1) {
  return {KerasKind::dense, std::move(keras), std::move(published), std::move(older), map};
}

// `blocks`: convolutions in each. In features.N each takes two numbers, with its activation, and
// each block one more, for its pool.
Targets vgg(std::array<int, 5> blocks) {
  Targets layers;
  int n = 0;
  for (int block = 0; block < 5; ++block, ++n)
    for (int k = 1; k <= blocks[block]; ++k, n += 2)
      layers.push_back(conv(fmt::format("block{}_conv{}", block + 1, k), fmt::format("features.{}", n)));
  layers.push_back(dense("fc1", "classifier.0", "", /*map=*/7));
  layers.push_back(dense("fc2", "classifier.3"));
  layers.push_back(dense("predictions", "classifier.6"));
  return layers;
}

// A convolution and its norm: conv2_block1_1_conv and _bn, res2a_branch2a and bn2a_branch2a.
void add_pair(Targets& convs, Targets& norms, const std::string& keras, const std::string& older,
              const std::string& published_conv, const std::string& published_norm) {
  convs.push_back(conv(keras + "_conv", published_conv, "res" + older));
  norms.push_back(norm(keras + "_bn", published_norm, "bn" + older));
}

void append(Targets& to, const Targets& from) { to.insert(to.end(), from.begin(), from.end()); }

// The shortcut of a first block, number 0, stands in the model before the third convolution.
void add_block(Targets& layers, int stage, int block) {
  std::string keras = fmt::format("conv{}_block{}", stage, block);
  std::string older = fmt::format("{}{}_branch", stage, char('a' + block - 1));
  std::string published = fmt::format("layer{}.{}", stage - 1, block - 1);
  Targets convs, norms;
  for (int k = 1; k <= 3; ++k) {
    if (k == 3 && block == 1)
      add_pair(convs, norms, keras + "_0", older + "1", published + ".downsample.0",
               published + ".downsample.1");
    add_pair(convs, norms, fmt::format("{}_{}", keras, k), fmt::format("{}2{}", older, char('a' + k - 1)),
             fmt::format("{}.conv{}", published, k), fmt::format("{}.bn{}", published, k));
  }
  append(layers, convs);
  append(layers, norms);
}

Targets resnet(std::array<int, 4> blocks) {
  Targets layers{conv("conv1_conv", "conv1", "conv1"), norm("conv1_bn", "bn1", "bn_conv1")};
  for (int stage = 0; stage < 4; ++stage)
    for (int block = 1; block <= blocks[stage]; ++block) add_block(layers, stage + 2, block);
  layers.push_back(dense("predictions", "fc", "fc1000"));
  return layers;
}

Targets squeezenet() {
  Targets layers{conv("conv1", "features.0")};
  const int numbers[] = {3, 4, 6, 7, 9, 10, 11, 12};  // of fire2 .. fire9 in features.N
  for (int fire = 2; fire <= 9; ++fire)
    for (const char* part : {"squeeze1x1", "expand1x1", "expand3x3"}) {
      std::string published = std::string(part).substr(0, part[0] == 's' ? 7 : 9);
      layers.push_back(conv(fmt::format("fire{}/{}", fire, part),
                            fmt::format("features.{}.{}", numbers[fire - 2], published)));
    }
  layers.push_back(conv("conv10", "classifier.1"));
  return layers;
}

Targets densenet(std::array<int, 4> layers) {
  Targets all{conv("conv1_conv", "features.conv0", "conv1/conv"),
              norm("conv1_bn", "features.norm0", "conv1/bn")};
  for (int block = 1; block <= 4; ++block) {
    for (int i = 1; i <= layers[block - 1]; ++i) {
      std::string keras = fmt::format("conv{}_block{}_", block + 1, i);
      std::string published = fmt::format("features.denseblock{}.denselayer{}.", block, i);
      append(
          all,
          {norm(keras + "0_bn", published + "norm1"), conv(keras + "1_conv", published + "conv1"),
           norm(keras + "1_bn", published + "norm2"), conv(keras + "2_conv", published + "conv2")});
    }
    if (block == 4) break;
    std::string keras = fmt::format("pool{}_", block + 1);
    std::string published = fmt::format("features.transition{}.", block);
    append(all, {norm(keras + "bn", published + "norm"), conv(keras + "conv", published + "conv")});
  }
  append(all, {norm("bn", "features.norm5"), dense("predictions", "classifier", "fc1000")});
  return all;
}

// Keras names its convolutions and norms by numbers, in the order in which they were made.
Targets inception_v3() {
  std::vector<std::string> names{"Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1",
                                 "Conv2d_4a_3x3"};
  auto block = [&](const char* mixed, std::vector<const char*> branches) {
    for (const char* branch : branches)
      names.push_back(fmt::format("Mixed_{}.branch{}", mixed, branch));
  };
  for (const char* mixed : {"5b", "5c", "5d"})
    block(mixed, {"1x1", "5x5_1", "5x5_2", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3", "_pool"});
  block("6a", {"3x3", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3"});
  for (const char* mixed : {"6b", "6c", "6d", "6e"})
    block(mixed, {"1x1", "7x7_1", "7x7_2", "7x7_3", "7x7dbl_1", "7x7dbl_2", "7x7dbl_3", "7x7dbl_4",
                  "7x7dbl_5", "_pool"});
  block("7a", {"3x3_1", "3x3_2", "7x7x3_1", "7x7x3_2", "7x7x3_3", "7x7x3_4"});
  for (const char* mixed : {"7b", "7c"})
    block(mixed, {"1x1", "3x3_1", "3x3_2a", "3x3_2b", "3x3dbl_1", "3x3dbl_2", "3x3dbl_3a",
                  "3x3dbl_3b", "_pool"});
  Targets layers;
  for (size_t i = 0; i < names.size(); ++i) {
    layers.push_back(conv(fmt::format("conv2d#{}", i), names[i] + ".conv"));
    layers.push_back(norm(fmt::format("batch_normalization#{}", i), names[i] + ".bn"));
    layers.back().gamma = false;
  }
  layers.push_back(dense("predictions", "fc"));
  return layers;
}

KerasTarget depthwise(std::string keras, std::string published) {
  return {KerasKind::depthwise, std::move(keras), std::move(published), ""};
}

Targets mobilenet_v2() {
  Targets layers{conv("Conv1", "features.0.0"), norm("bn_Conv1", "features.0.1")};
  for (int block = 0; block <= 16; ++block) {
    std::string keras = block ? fmt::format("block_{}_", block) : "expanded_conv_";
    std::string published = fmt::format("features.{}.conv.", block + 1);
    int n = 0;
    if (block > 0) {
      layers.push_back(conv(keras + "expand", published + "0.0"));
      layers.push_back(norm(keras + "expand_BN", published + "0.1"));
      ++n;
    }
    layers.push_back(depthwise(keras + "depthwise", fmt::format("{}{}.0", published, n)));
    layers.push_back(norm(keras + "depthwise_BN", fmt::format("{}{}.1", published, n)));
    layers.push_back(conv(keras + "project", fmt::format("{}{}", published, n + 1)));
    layers.push_back(norm(keras + "project_BN", fmt::format("{}{}", published, n + 2)));
  }
  append(layers, {conv("Conv_1", "features.18.0"), norm("Conv_1_bn", "features.18.1"),
                  dense("predictions", "classifier.1", "Logits")});
  return layers;
}

void add_mbconv(Targets& layers, const std::string& keras, const std::string& published,
                bool expands) {
  int n = 0;
  auto part = [&](const char* name) { return fmt::format("{}.block.{}{}", published, n, name); };
  if (expands) {
    append(layers,
           {conv(keras + "expand_conv", part(".0")), norm(keras + "expand_bn", part(".1"))});
    ++n;
  }
  append(layers, {depthwise(keras + "dwconv", part(".0")), norm(keras + "bn", part(".1"))});
  ++n;
  append(layers,
         {conv(keras + "se_reduce", part(".fc1")), conv(keras + "se_expand", part(".fc2"))});
  ++n;
  append(layers,
         {conv(keras + "project_conv", part(".0")), norm(keras + "project_bn", part(".1"))});
}

Targets efficientnet(std::array<int, 7> blocks) {
  Targets layers{{KerasKind::input, "normalization", "", ""},
                 conv("stem_conv", "features.0.0"),
                 norm("stem_bn", "features.0.1")};
  for (int stage = 1; stage <= 7; ++stage)
    for (int block = 0; block < blocks[stage - 1]; ++block)
      add_mbconv(layers, fmt::format("block{}{}_", stage, char('a' + block)),
                 fmt::format("features.{}.{}", stage, block), stage > 1);
  append(layers, {conv("top_conv", "features.8.0"), norm("top_bn", "features.8.1"),
                  dense("predictions", "classifier.1")});
  return layers;
}

KerasTarget layer_norm(std::string keras, std::string published) {
  return {KerasKind::layer_norm, std::move(keras), std::move(published), ""};
}

Targets convnext(const std::string& name, std::array<int, 4> blocks) {
  Targets layers{conv(name + "_stem_conv", "features.0.0"),
                 layer_norm(name + "_stem_layernorm", "features.0.1")};
  for (int stage = 0; stage < 4; ++stage) {
    if (stage > 0)
      append(layers, {layer_norm(fmt::format("{}_downsampling_layernorm_{}", name, stage - 1),
                                 fmt::format("features.{}.0", 2 * stage)),
                      conv(fmt::format("{}_downsampling_conv_{}", name, stage - 1),
                           fmt::format("features.{}.1", 2 * stage))});
    for (int block = 0; block < blocks[stage]; ++block) {
      std::string keras = fmt::format("{}_stage_{}_block_{}_", name, stage, block);
      std::string published = fmt::format("features.{}.{}.", 2 * stage + 1, block);
      append(layers, {conv(keras + "depthwise_conv", published + "block.0"),
                      layer_norm(keras + "layernorm", published + "block.2"),
                      dense(keras + "pointwise_conv_1", published + "block.3"),
                      dense(keras + "pointwise_conv_2", published + "block.5"),
                      {KerasKind::scale, keras + "layer_scale", published + "layer_scale", ""}});
    }
  }
  append(layers, {layer_norm(name + "_head_layernorm", "classifier.0"),
                  dense(name + "_head_dense", "classifier.2")});
  return layers;
}

int64_t count_kind(const Targets& layers, KerasKind kind) {
  return std::count_if(layers.begin(), layers.end(), [&](auto& l) { return l.kind == kind; });
}

int64_t count_kind(const KerasFile& file, KerasKind kind) {
  return std::count_if(file.layers.begin(), file.layers.end(),
                       [&](auto& l) { return kind_of(l) == kind; });
}

struct Called {
  std::string kind;  // "conv2d" of conv2d_7; empty: it is called otherwise
  int64_t number;    // 0 of conv2d
};

Called called(const std::string& layer) {
  std::string name = layer.substr(layer.rfind('/') + 1);
  for (const char* kind : {"conv2d", "batch_normalization", "normalization"}) {
    if (name == kind) return {kind, 0};
    size_t digits = std::string(kind).size() + 1;
    bool number = name.starts_with(kind) && name.size() > digits && name.size() < digits + 10 &&
                  name[digits - 1] == '_' &&
                  name.find_first_not_of("0123456789", digits) == name.npos;
    if (number) return {kind, std::stoll(name.substr(digits))};
  }
  return {"", 0};
}

// A layer that prepares pixels has no name of its own, so Keras numbers it: "normalization_1".
bool is_called(const KerasTarget& layer, std::string_view name) {
  if (layer.keras == name || (!layer.older.empty() && layer.older == name)) return true;
  return layer.kind == KerasKind::input && called(std::string(name)).kind == layer.keras;
}

// The names of the file's layers; called by numbers, they are counted from 0 on: conv2d#0.
std::vector<std::string> names_of(const KerasFile& file, const KerasNetwork& network) {
  std::map<std::string, std::map<int64_t, int64_t>> ranks;
  for (const KerasLayer& layer : file.layers)
    if (Called c = called(layer.name); !c.kind.empty()) ranks[c.kind][c.number] = 0;
  for (auto& [kind, numbers] : ranks)
    for (int64_t rank = 0; auto& [number, at] : numbers) at = rank++;
  std::vector<std::string> names;
  for (const KerasLayer& layer : file.layers) {
    Called c = called(layer.name);
    bool by_rank = network.order == KerasOrder::called && !c.kind.empty();
    names.push_back(by_rank ? fmt::format("{}#{}", c.kind, ranks[c.kind][c.number]) : layer.name);
  }
  return names;
}

int64_t count_known(const KerasFile& file, const KerasNetwork& network) {
  if (!tells_layers(file, network)) return 0;
  std::vector<std::string> names = names_of(file, network);
  return std::count_if(names.begin(), names.end(), [&](auto& name) { return network.find(name); });
}

// Of networks with the same names: how many of the weights have as many values as the row's.
int64_t count_fitting(const KerasFile& file, const KerasNetwork& network) {
  TensorMap tensors = state_view(*build_model(network.architecture, 1000));
  std::vector<const KerasTarget*> targets = match_layers(file, network);
  int64_t count = 0;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (!targets[i]) continue;
    auto tensor = tensors.find(targets[i]->published + ".weight");
    count +=
        tensor != tensors.end() && tensor->second.size() == file.layers[i].weights[0].values.size();
  }
  return count;
}

// A file without names, of which not one is known, with as many layers of each kind; those of the
// head, the dense ones or the last convolution, may lack.
bool fits_by_number(const KerasFile& file, const KerasNetwork& network) {
  if (network.order != KerasOrder::model) return false;
  int64_t wanted = count_kind(network.layers, KerasKind::dense);
  int64_t dense = count_kind(file, KerasKind::dense), conv = count_kind(file, KerasKind::conv);
  int64_t convs = count_kind(network.layers, KerasKind::conv);
  bool convs_fit = conv == convs || (wanted == 0 && conv == convs - 1);
  return count_known(file, network) == 0 && convs_fit && (dense == wanted || dense == 0) &&
         count_kind(file, KerasKind::norm) == count_kind(network.layers, KerasKind::norm);
}

const KerasTarget* numbered(const Targets& layers, KerasKind kind, int64_t number) {
  for (const KerasTarget& layer : layers)
    if (layer.kind == kind && number-- == 0) return &layer;
  return nullptr;
}

// Whether a layer that has the name of `target` has its weights: the parts of a norm that do
// nothing may lack.
bool has_weights_of(const KerasLayer& layer, const KerasTarget& target) {
  size_t count = layer.weights.size();
  bool vectors = std::all_of(layer.weights.begin(), layer.weights.end(),
                             [](auto& w) { return w.values.rank() <= 1; });
  switch (target.kind) {
    case KerasKind::norm:
      return vectors && count >= 2 && count <= 4;
    case KerasKind::layer_norm:
      return vectors && count == 2;
    case KerasKind::scale:
      return vectors && count == 1;
    case KerasKind::input:
      return vectors && (count == 2 || count == 3);
    case KerasKind::depthwise:
      return kind_of(layer) == KerasKind::conv;
    default:
      return kind_of(layer) == target.kind;
  }
}

}  // namespace

bool tells_layers(const KerasFile& file, const KerasNetwork& network) {
  if (network.order != KerasOrder::called) return true;
  std::map<std::string, int64_t> found;
  for (const KerasLayer& layer : file.layers) ++found[called(layer.name).kind];
  return file.named && found["conv2d"] == count_kind(network.layers, KerasKind::conv) &&
         found["batch_normalization"] == count_kind(network.layers, KerasKind::norm);
}

KerasKind kind_of(const KerasLayer& layer) {
  const auto& weights = layer.weights;
  auto rank = [&](size_t i) { return i < weights.size() ? weights[i].values.rank() : 0; };
  bool vectors = std::all_of(weights.begin(), weights.end(), [](auto& w) { return w.values.rank() == 1; });
  if (vectors && weights.size() == 4) return KerasKind::norm;
  bool biased = weights.size() == 1 || (weights.size() == 2 && rank(1) == 1);
  if (biased && rank(0) == 4) return KerasKind::conv;
  return biased && rank(0) == 2 ? KerasKind::dense : KerasKind::other;
}

// A layer of a nested model has the model's name in front: "vgg16/fc1".
const KerasTarget* KerasNetwork::find(const std::string& keras) const {
  for (std::string_view name = keras;; name.remove_prefix(name.find('/') + 1)) {
    for (const KerasTarget& layer : layers)
      if (is_called(layer, name)) return &layer;
    if (name.find('/') == name.npos) return nullptr;
  }
}

const std::vector<KerasNetwork>& keras_networks() {
  constexpr auto model = KerasOrder::model, made = KerasOrder::called;
  static const std::vector<KerasNetwork> networks = {
      // the smaller of a family first
      {"vgg16", kCaffe, vgg({2, 2, 3, 3, 3}), model},
      {"vgg19", kCaffe, vgg({2, 2, 4, 4, 4}), model},
      {"resnet50_v1", kCaffe, resnet({3, 4, 6, 3}), model},
      {"resnet101_v1", kCaffe, resnet({3, 4, 23, 3}), model},
      {"resnet152_v1", kCaffe, resnet({3, 8, 36, 3}), model},
      {"squeezenet1_1", kSqueezeNet, squeezenet(), model},
      {"densenet121_keras", kTorch, densenet({6, 12, 24, 16}), model},
      {"densenet169_keras", kTorch, densenet({6, 12, 32, 32}), model},
      {"densenet201_keras", kTorch, densenet({6, 12, 48, 32}), model},
      {"inception_v3_keras", kTf, inception_v3(), made},
      {"mobilenet_v2_keras", kTf, mobilenet_v2()},
      {"efficientnet_b0_keras", kTorch, efficientnet({1, 2, 2, 3, 3, 4, 1})},
      {"efficientnet_b1_keras", kTorch, efficientnet({2, 3, 3, 4, 4, 5, 2})},
      {"efficientnet_b2_keras", kTorch, efficientnet({2, 3, 3, 4, 4, 5, 2})},
      {"efficientnet_b3_keras", kTorch, efficientnet({2, 3, 3, 5, 5, 6, 2})},
      {"efficientnet_b4_keras", kTorch, efficientnet({2, 4, 4, 6, 6, 8, 2})},
      {"efficientnet_b5_keras", kTorch, efficientnet({3, 5, 5, 7, 7, 9, 3})},
      {"efficientnet_b6_keras", kTorch, efficientnet({3, 6, 6, 8, 8, 11, 3})},
      {"efficientnet_b7_keras", kTorch, efficientnet({4, 7, 7, 10, 10, 13, 4})},
      {"convnext_tiny", kTorch, convnext("convnext_tiny", {3, 3, 9, 3})},
      {"convnext_small", kTorch, convnext("convnext_small", {3, 3, 27, 3})},
      {"convnext_base", kTorch, convnext("convnext_base", {3, 3, 27, 3})},
      {"convnext_large", kTorch, convnext("convnext_large", {3, 3, 27, 3})},
  };
  return networks;
}

const KerasNetwork* recognise_keras(const KerasFile& file) {
  std::vector<const KerasNetwork*> best;  // those that know as many
  int64_t most = 1;
  for (const KerasNetwork& network : keras_networks()) {
    int64_t known = count_known(file, network);
    if (known > most) most = known, best.clear();
    if (known == most) best.push_back(&network);
  }
  if (2 * most >= int64_t(file.layers.size()) && !best.empty()) {
    std::vector<int64_t> fitting(best.size());
    if (best.size() > 1)
      for (size_t i = 0; i < best.size(); ++i) fitting[i] = count_fitting(file, *best[i]);
    return best[std::max_element(fitting.begin(), fitting.end()) - fitting.begin()];
  }
  for (const KerasNetwork& network : keras_networks())
    if (fits_by_number(file, network)) return &network;
  return nullptr;
}

std::vector<const KerasTarget*> match_layers(const KerasFile& file, const KerasNetwork& network) {
  std::vector<const KerasTarget*> targets;
  if (!tells_layers(file, network)) return std::vector<const KerasTarget*>(file.layers.size());
  std::vector<std::string> names = names_of(file, network);
  bool by_name = network.order != KerasOrder::model || count_known(file, network) > 0;
  std::map<KerasKind, int64_t> numbers;
  for (size_t i = 0; i < file.layers.size(); ++i) {
    KerasKind kind = kind_of(file.layers[i]);
    const KerasTarget* target =
        by_name ? network.find(names[i]) : numbered(network.layers, kind, numbers[kind]++);
    targets.push_back(target && has_weights_of(file.layers[i], *target) ? target : nullptr);
  }
  return targets;
}

}  // namespace graft
