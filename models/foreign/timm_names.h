// From timm's names of tensors to those of the zoo, which are torchvision's, as tables. ResNet,
// DenseNet and Inception are not here: there the two agree.
#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

namespace graft {

// "blocks.S.B.conv_pw" -> "features.{n}.conv.0.0": in timm's name S and B stand for the numbers of a
// stage and of a block in it; in the published one {s} is S, {next} S + 1, {even} 2 S, {odd} 2 S + 1,
// {after} 2 S + 2, {seventh} S + 7, {b} B, {before} B - 1, {n} the number of the block over all
// stages, from 1, {last} how many they are + 1, {end} how many stages + 1. What follows stays
// (".weight").
struct TimmRule {
  const char* timm;
  const char* published;   // empty: of no use here
  const char* needs = "";  // parts that the block must have for this rule, separated by blanks
  int rank = 0;            // of the published tensor where it has another shape: ones are added, or
                           // the last dimensions become one
};

struct TimmFamily {
  const char* name;                    // "convnext", with which the names of its rows begin
  const char* sign;                    // a tensor that a file with timm's names has
  std::vector<TimmRule> rules;         // the first that fits
};

const std::vector<TimmFamily>& timm_families();

struct TimmTarget {
  std::string published;  // empty: of no use here
  int rank = 0;           // as in TimmRule
};

// What each of a file's tensors is in `family`; those that it does not know keep their name.
std::map<std::string, TimmTarget> match_names(const TimmFamily& family,
                                              const std::set<std::string>& names);

// Networks of timm whose tensors look like those of a row, but which compute something else.
struct TimmTwin {
  const char* row;     // of the zoo
  const char* twins;   // names in timm
  const char* why;     // how they differ from the row
  bool none_is_same;   // timm has no network that is the row's; else it has, and a file cannot tell
};
const TimmTwin* timm_twin(const std::string& row);  // null: there is none

}  // namespace graft
