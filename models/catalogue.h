// Published weights that can be had over the network: where they lie and what belongs to them.
// The catalogue is models/catalogue.json, which is part of the program.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "io/transforms.h"

namespace graft {

struct PublishedWeights {
  std::string name;          // "resnet50.imagenet1k_v2"
  std::string architecture;  // in the zoo, or a network that this program cannot build
  std::string url;
  std::string sha256;        // the first digits, as many as are published
  double megabytes = 0;
  double top1 = 0, top5 = 0;  // % on ImageNet, as published
  std::string licence;
  Preprocess preprocess;
  bool preferred = false;    // what the architecture's name alone means
};

// All of a catalogue in JSON; the program's own without a path. Throws Fault::data.
std::vector<PublishedWeights> read_catalogue(const std::string& path = "");

// The entry of that name, or the preferred one of that architecture; throws with the nearest names.
const PublishedWeights& find_weights(const std::vector<PublishedWeights>& catalogue,
                                     const std::string& name);

// The entry of that architecture whose hash the file has; null where it is none of them.
const PublishedWeights* published_in(const std::vector<PublishedWeights>& catalogue,
                                     const std::string& architecture, const std::string& file);

}  // namespace graft
