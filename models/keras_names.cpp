#include "models/keras_names.h"

#include <algorithm>
#include <map>
#include <string_view>

#include "core/check.h"

namespace graft {
namespace {

using Targets = std::vector<KerasTarget>;

constexpr std::array<float, 3> kCaffe{103.939f, 116.779f, 123.68f};
constexpr std::array<float, 3> kSqueezeNet{104, 117, 123};

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

int64_t count_kind(const Targets& layers, KerasKind kind) {
  return std::count_if(layers.begin(), layers.end(), [&](auto& l) { return l.kind == kind; });
}

int64_t count_kind(const KerasFile& file, KerasKind kind) {
  return std::count_if(file.layers.begin(), file.layers.end(),
                       [&](auto& l) { return kind_of(l) == kind; });
}

int64_t count_known(const KerasFile& file, const KerasNetwork& network) {
  return std::count_if(file.layers.begin(), file.layers.end(),
                       [&](auto& l) { return network.find(l.name) != nullptr; });
}

// A file without names, of which not one is known, with as many layers of each kind; those of the head, the dense ones or the last convolution, may lack.
bool fits_by_number(const KerasFile& file, const KerasNetwork& network) {
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

}  // namespace

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
      if (layer.keras == name || (!layer.older.empty() && layer.older == name)) return &layer;
    if (name.find('/') == name.npos) return nullptr;
  }
}

const std::vector<KerasNetwork>& keras_networks() {
  static const std::vector<KerasNetwork> networks = {  // the smaller of a family first
      {"vgg16", kCaffe, vgg({2, 2, 3, 3, 3})},
      {"vgg19", kCaffe, vgg({2, 2, 4, 4, 4})},
      {"resnet50_v1", kCaffe, resnet({3, 4, 6, 3})},
      {"resnet101_v1", kCaffe, resnet({3, 4, 23, 3})},
      {"resnet152_v1", kCaffe, resnet({3, 8, 36, 3})},
      {"squeezenet1_1", kSqueezeNet, squeezenet()},
  };
  return networks;
}

const KerasNetwork* recognise_keras(const KerasFile& file) {
  const KerasNetwork* best = nullptr;  // of those that know as many, the first and smallest
  int64_t most = 0;
  for (const KerasNetwork& network : keras_networks())
    if (int64_t known = count_known(file, network); known > most) most = known, best = &network;
  if (2 * most >= int64_t(file.layers.size()) && best) return best;
  for (const KerasNetwork& network : keras_networks())
    if (fits_by_number(file, network)) return &network;
  return nullptr;
}

std::vector<const KerasTarget*> match_layers(const KerasFile& file, const KerasNetwork& network) {
  std::vector<const KerasTarget*> targets;
  bool by_name = count_known(file, network) > 0;
  std::map<KerasKind, int64_t> numbers;
  for (const KerasLayer& layer : file.layers) {
    KerasKind kind = kind_of(layer);
    const KerasTarget* target = by_name ? network.find(layer.name)
                                        : numbered(network.layers, kind, numbers[kind]++);
    targets.push_back(target && target->kind == kind ? target : nullptr);
  }
  return targets;
}

}  // namespace graft
