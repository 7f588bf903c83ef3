#include "models/foreign/timm_names.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/check.h"
#include "core/text.h"

namespace graft {
namespace {

const TimmFamily kVgg{"vgg", "pre_logits.fc1.weight", {
    {"pre_logits.fc1.weight", "classifier.0.weight", "", 2},
    {"pre_logits.fc1.bias", "classifier.0.bias"},
    {"pre_logits.fc2.weight", "classifier.3.weight", "", 2},
    {"pre_logits.fc2.bias", "classifier.3.bias"},
    {"head.fc", "classifier.6"},
}};

const TimmFamily kMobileNetV2{"mobilenet_v2", "conv_stem.weight", {
    {"conv_stem", "features.0.0"},
    {"bn1", "features.0.1"},
    {"blocks.S.B.conv_pw", "features.{n}.conv.0.0", "conv_pwl"},
    {"blocks.S.B.bn1", "features.{n}.conv.0.1", "conv_pwl"},
    {"blocks.S.B.conv_dw", "features.{n}.conv.1.0", "conv_pwl"},
    {"blocks.S.B.bn2", "features.{n}.conv.1.1", "conv_pwl"},
    {"blocks.S.B.conv_pwl", "features.{n}.conv.2"},
    {"blocks.S.B.bn3", "features.{n}.conv.3"},
    {"blocks.S.B.conv_dw", "features.{n}.conv.0.0"},  // the first block does not widen
    {"blocks.S.B.bn1", "features.{n}.conv.0.1"},
    {"blocks.S.B.conv_pw", "features.{n}.conv.1"},
    {"blocks.S.B.bn2", "features.{n}.conv.2"},
    {"conv_head", "features.{last}.0"},
    {"bn2", "features.{last}.1"},
    {"classifier", "classifier.1"},
}};

const TimmFamily kMobileNetV3{"mobilenet_v3", "conv_stem.weight", {
    {"conv_stem", "features.0.0"},
    {"bn1", "features.0.1"},
    {"blocks.S.B.conv_pw", "features.{n}.block.0.0", "conv_pwl"},
    {"blocks.S.B.bn1", "features.{n}.block.0.1", "conv_pwl"},
    {"blocks.S.B.conv_dw", "features.{n}.block.1.0", "conv_pwl"},
    {"blocks.S.B.bn2", "features.{n}.block.1.1", "conv_pwl"},
    {"blocks.S.B.se.conv_reduce", "features.{n}.block.2.fc1", "conv_pwl"},
    {"blocks.S.B.se.conv_expand", "features.{n}.block.2.fc2", "conv_pwl"},
    {"blocks.S.B.conv_pwl", "features.{n}.block.3.0", "se"},
    {"blocks.S.B.bn3", "features.{n}.block.3.1", "se"},
    {"blocks.S.B.conv_pwl", "features.{n}.block.2.0"},
    {"blocks.S.B.bn3", "features.{n}.block.2.1"},
    {"blocks.S.B.conv", "features.{n}.0"},  // the last one is a plain convolution
    {"blocks.S.B.bn1", "features.{n}.1", "conv.weight"},
    {"blocks.S.B.conv_dw", "features.{n}.block.0.0"},  // the first block does not widen
    {"blocks.S.B.bn1", "features.{n}.block.0.1"},
    {"blocks.S.B.se.conv_reduce", "features.{n}.block.1.fc1"},
    {"blocks.S.B.se.conv_expand", "features.{n}.block.1.fc2"},
    {"blocks.S.B.conv_pw", "features.{n}.block.2.0", "se"},
    {"blocks.S.B.bn2", "features.{n}.block.2.1", "se"},
    {"blocks.S.B.conv_pw", "features.{n}.block.1.0"},
    {"blocks.S.B.bn2", "features.{n}.block.1.1"},
    {"conv_head.weight", "classifier.0.weight", "", 2},
    {"conv_head.bias", "classifier.0.bias"},
    {"classifier", "classifier.3"},
}};

const TimmFamily kMnasNet{"mnasnet", "conv_stem.weight", {
    {"conv_stem", "layers.0"},
    {"bn1", "layers.1"},
    {"blocks.S.B.conv_pw", "layers.{seventh}.{b}.layers.0", "conv_pwl"},
    {"blocks.S.B.bn1", "layers.{seventh}.{b}.layers.1", "conv_pwl"},
    {"blocks.S.B.conv_dw", "layers.{seventh}.{b}.layers.3", "conv_pwl"},
    {"blocks.S.B.bn2", "layers.{seventh}.{b}.layers.4", "conv_pwl"},
    {"blocks.S.B.conv_pwl", "layers.{seventh}.{b}.layers.6"},
    {"blocks.S.B.bn3", "layers.{seventh}.{b}.layers.7"},
    {"blocks.0.0.conv_dw", "layers.3"},
    {"blocks.0.0.bn1", "layers.4"},
    {"blocks.0.0.conv_pw", "layers.6"},
    {"blocks.0.0.bn2", "layers.7"},
    {"conv_head", "layers.14"},
    {"bn2", "layers.15"},
    {"classifier", "classifier.1"},
}};

const TimmFamily kEfficientNet{"efficientnet", "conv_stem.weight", {
    {"conv_stem", "features.0.0"},
    {"bn1", "features.0.1"},
    {"blocks.S.B.conv_exp", "features.{next}.{b}.block.0.0"},  // fused
    {"blocks.S.B.bn1", "features.{next}.{b}.block.0.1", "conv_exp"},
    {"blocks.S.B.conv_pwl", "features.{next}.{b}.block.1.0", "conv_exp"},
    {"blocks.S.B.bn2", "features.{next}.{b}.block.1.1", "conv_exp"},
    {"blocks.S.B.conv_pw", "features.{next}.{b}.block.0.0", "conv_pwl"},
    {"blocks.S.B.bn1", "features.{next}.{b}.block.0.1", "conv_pwl"},
    {"blocks.S.B.conv_dw", "features.{next}.{b}.block.1.0", "conv_pwl"},
    {"blocks.S.B.bn2", "features.{next}.{b}.block.1.1", "conv_pwl"},
    {"blocks.S.B.se.conv_reduce", "features.{next}.{b}.block.2.fc1", "conv_pwl"},
    {"blocks.S.B.se.conv_expand", "features.{next}.{b}.block.2.fc2", "conv_pwl"},
    {"blocks.S.B.conv_pwl", "features.{next}.{b}.block.3.0"},
    {"blocks.S.B.bn3", "features.{next}.{b}.block.3.1"},
    {"blocks.S.B.conv", "features.{next}.{b}.block.0.0"},  // a plain convolution
    {"blocks.S.B.conv_dw", "features.{next}.{b}.block.0.0"},  // does not widen
    {"blocks.S.B.bn1", "features.{next}.{b}.block.0.1"},
    {"blocks.S.B.se.conv_reduce", "features.{next}.{b}.block.1.fc1"},
    {"blocks.S.B.se.conv_expand", "features.{next}.{b}.block.1.fc2"},
    {"blocks.S.B.conv_pw", "features.{next}.{b}.block.2.0"},
    {"blocks.S.B.bn2", "features.{next}.{b}.block.2.1"},
    {"conv_head", "features.{end}.0"},
    {"bn2", "features.{end}.1"},
    {"classifier", "classifier.1"},
}};

const TimmFamily kRegNet{"regnet", "stem.conv.weight", {
    {"stem.conv", "stem.0"},
    {"stem.bn", "stem.1"},
    {"sS.bB.conv1.conv", "trunk_output.block{s}.block{s}-{before}.f.a.0"},
    {"sS.bB.conv1.bn", "trunk_output.block{s}.block{s}-{before}.f.a.1"},
    {"sS.bB.conv2.conv", "trunk_output.block{s}.block{s}-{before}.f.b.0"},
    {"sS.bB.conv2.bn", "trunk_output.block{s}.block{s}-{before}.f.b.1"},
    {"sS.bB.se", "trunk_output.block{s}.block{s}-{before}.f.se"},
    {"sS.bB.conv3.conv", "trunk_output.block{s}.block{s}-{before}.f.c.0"},
    {"sS.bB.conv3.bn", "trunk_output.block{s}.block{s}-{before}.f.c.1"},
    {"sS.bB.downsample.conv", "trunk_output.block{s}.block{s}-{before}.proj.0"},
    {"sS.bB.downsample.bn", "trunk_output.block{s}.block{s}-{before}.proj.1"},
    {"head.fc", "fc"},
}};

const TimmFamily kConvNext{"convnext", "stages.0.blocks.0.conv_dw.weight", {
    {"stem", "features.0"},
    {"stages.S.downsample", "features.{even}"},
    {"stages.S.blocks.B.gamma", "features.{odd}.{b}.layer_scale", "", 3},
    {"stages.S.blocks.B.conv_dw", "features.{odd}.{b}.block.0"},
    {"stages.S.blocks.B.norm", "features.{odd}.{b}.block.2"},
    {"stages.S.blocks.B.mlp.fc1", "features.{odd}.{b}.block.3"},
    {"stages.S.blocks.B.mlp.fc2", "features.{odd}.{b}.block.5"},
    {"head.norm", "classifier.0"},
    {"head.fc", "classifier.2"},
}};

const TimmFamily kVit{"vit", "blocks.0.attn.qkv.weight", {
    {"cls_token", "class_token"},
    {"pos_embed", "encoder.pos_embedding"},
    {"patch_embed.proj", "conv_proj"},
    {"blocks.B.norm1", "encoder.layers.encoder_layer_{b}.ln_1"},
    {"blocks.B.attn.qkv.weight", "encoder.layers.encoder_layer_{b}.self_attention.in_proj_weight"},
    {"blocks.B.attn.qkv.bias", "encoder.layers.encoder_layer_{b}.self_attention.in_proj_bias"},
    {"blocks.B.attn.proj", "encoder.layers.encoder_layer_{b}.self_attention.out_proj"},
    {"blocks.B.norm2", "encoder.layers.encoder_layer_{b}.ln_2"},
    {"blocks.B.mlp.fc1", "encoder.layers.encoder_layer_{b}.mlp.0"},
    {"blocks.B.mlp.fc2", "encoder.layers.encoder_layer_{b}.mlp.3"},
    {"norm", "encoder.ln"},
    {"head", "heads.head"},
}};

const TimmFamily kSwin{"swin", "layers.0.blocks.0.attn.qkv.weight", {
    {"patch_embed.proj", "features.0.0"},
    {"patch_embed.norm", "features.0.2"},
    {"layers.0.downsample", "features.2"},  // of before 2023, at the end of its stage
    {"layers.S.downsample", "features.{after}", "@layers.0.downsample"},
    {"layers.S.downsample", "features.{even}"},
    {"layers.S.blocks.B.attn_mask", ""},
    {"layers.S.blocks.B.attn.relative_position_index",
     "features.{odd}.{b}.attn.relative_position_index", "", 1},
    {"layers.S.blocks.B.mlp.fc1", "features.{odd}.{b}.mlp.0"},
    {"layers.S.blocks.B.mlp.fc2", "features.{odd}.{b}.mlp.3"},
    {"layers.S.blocks.B", "features.{odd}.{b}"},
    {"head.fc", "head"},
}};

constexpr const char* kPadding = "pad more below and to the right than above and to the left";
constexpr const char* kPaddingOrEps =
    "pad more below and to the right than above and to the left, or have eps 1e-5 in their norms and "
    "not 1e-3";

using Numbers = std::map<char, int>;  // by the letter that stands for it

std::optional<int> number_in(std::string_view text) {
  int value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

// The next part of a name, up to a dot; cuts it off.
std::string_view next(std::string_view& name) {
  const size_t dot = name.find('.');
  std::string_view part = name.substr(0, dot);
  name = dot == name.npos ? std::string_view() : name.substr(dot + 1);
  return part;
}

bool fits(std::string_view pattern, std::string_view part, Numbers& numbers) {
  const char letter = pattern.back();
  if (letter != 'S' && letter != 'B') return pattern == part;
  pattern.remove_suffix(1);
  if (!part.starts_with(pattern)) return false;
  auto number = number_in(part.substr(pattern.size()));
  if (number) numbers[letter] = *number;
  return number.has_value();
}

struct Match {
  Numbers numbers;
  std::string block;      // the name up to the number of the block; "" where there is none
  std::string_view rest;  // what the pattern leaves
};

std::optional<Match> match(std::string_view pattern, const std::string& name) {
  Match m{.rest = name};
  while (!pattern.empty()) {
    if (m.rest.empty()) return {};
    std::string_view wanted = next(pattern), part = next(m.rest);
    if (!fits(wanted, part, m.numbers)) return {};
    if (wanted.back() == 'B') m.block = std::string(name.data(), part.data() + part.size());
  }
  return m;
}

class Renamer {
 public:
  Renamer(const TimmFamily& family, const std::set<std::string>& names)
      : family_(family), names_(names) {
    for (const std::string& name : names)
      for (const TimmRule& rule : family.rules)
        if (auto m = match(rule.timm, name); m && m->numbers.contains('S') && !m->block.empty()) {
          int& blocks = blocks_[m->numbers['S']];
          blocks = std::max(blocks, m->numbers['B'] + 1);
        }
  }

  TimmTarget target(const std::string& name) const {
    for (const TimmRule& rule : family_.rules)
      if (auto m = match(rule.timm, name); m && has_all(rule.needs, m->block)) {
        if (!*rule.published) return {};
        std::string published = filled(rule.published, m->numbers);
        return {m->rest.empty() ? published : published + "." + std::string(m->rest), rule.rank};
      }
    return {name};
  }

 private:
  // "@layers.0" is a part of the network, others are of the block.
  bool has_all(const std::string& parts, const std::string& block) const {
    for (const std::string& part : split(parts, " ")) {
      std::string prefix = part[0] == '@' ? part.substr(1) : block + "." + part;
      auto first = names_.lower_bound(prefix);
      if (first == names_.end() || !first->starts_with(prefix)) return false;
    }
    return true;
  }

  std::string filled(const char* published, const Numbers& numbers) const {
    auto at = [&](char letter) { return numbers.contains(letter) ? numbers.at(letter) : 0; };
    const int s = at('S'), b = at('B');
    int n = b + 1, all = 1;
    for (auto [stage, blocks] : blocks_) all += blocks, n += stage < s ? blocks : 0;
    const int end = blocks_.empty() ? 1 : blocks_.rbegin()->first + 2;
    return fmt::format(fmt::runtime(published), fmt::arg("s", s), fmt::arg("next", s + 1),
                       fmt::arg("even", 2 * s), fmt::arg("odd", 2 * s + 1),
                       fmt::arg("after", 2 * s + 2), fmt::arg("seventh", s + 7), fmt::arg("b", b),
                       fmt::arg("before", b - 1), fmt::arg("n", n), fmt::arg("last", all),
                       fmt::arg("end", end));
  }

  const TimmFamily& family_;
  const std::set<std::string>& names_;
  std::map<int, int> blocks_;  // by stage
};

}  // namespace

const std::vector<TimmFamily>& timm_families() {
  static const std::vector<TimmFamily> families{kVgg,          kMobileNetV2, kMobileNetV3,
                                                kMnasNet,      kEfficientNet, kRegNet,
                                                kConvNext,     kVit,          kSwin};
  return families;
}

std::map<std::string, TimmTarget> match_names(const TimmFamily& family,
                                              const std::set<std::string>& names) {
  Renamer renamer(family, names);
  std::map<std::string, TimmTarget> targets;
  for (const std::string& name : names) targets[name] = renamer.target(name);
  return targets;
}

const TimmTwin* timm_twin(const std::string& row) {
  static const TimmTwin twins[] = {
      {"efficientnet_b0", "tf_efficientnet_b0, efficientnet_blur_b0", kPadding, false},
      {"efficientnet_b1", "tf_efficientnet_b1", kPadding, false},
      {"efficientnet_b2", "tf_efficientnet_b2", kPadding, false},
      {"efficientnet_b3", "tf_efficientnet_b3", kPadding, false},
      {"efficientnet_b4", "tf_efficientnet_b4", kPadding, false},
      {"efficientnet_b5", "efficientnet_b5, tf_efficientnet_b5", kPaddingOrEps, true},
      {"efficientnet_b6", "efficientnet_b6, tf_efficientnet_b6", kPaddingOrEps, true},
      {"efficientnet_b7", "efficientnet_b7, tf_efficientnet_b7", kPaddingOrEps, true},
      {"efficientnet_v2_s", "efficientnetv2_s, tf_efficientnetv2_s", kPaddingOrEps, true},
      {"efficientnet_v2_m", "efficientnetv2_m, tf_efficientnetv2_m", kPaddingOrEps, true},
      {"efficientnet_v2_l", "efficientnetv2_l, tf_efficientnetv2_l", kPaddingOrEps, true},
      {"mobilenet_v3_large", "mobilenetv3_large_100, tf_mobilenetv3_large_100", kPaddingOrEps, true},
      {"mobilenet_v3_small", "mobilenetv3_small_100, tf_mobilenetv3_small_100", kPaddingOrEps, true},
  };
  for (const TimmTwin& twin : twins)
    if (row == twin.row) return &twin;
  return nullptr;
}

}  // namespace graft
