#include "models/catalogue.h"

#include <nlohmann/json.hpp>

#include "core/check.h"
#include "core/text.h"
#include "io/file.h"
#include "io/json.h"
#include "io/sha256.h"
#include "io/source_file.h"

namespace graft {

extern const char* const kCatalogueText;

namespace {

using json = nlohmann::json;

constexpr int64_t kMostBytes = 16 << 20;

Preprocess preprocess_of(const json& row) {
  Preprocess p;
  p.resize = row.at("resize").get<int>();
  p.crop = row.at("crop").get<int>();
  const std::string name = row.at("interpolation").get<std::string>();
  auto interpolation = interpolation_named(name);
  GRAFT_CHECK(interpolation, "interpolation '{}' is unknown", name);
  p.interpolation = *interpolation;
  p.mean = row.at("mean").get<std::array<float, 3>>();
  p.std = row.at("std").get<std::array<float, 3>>();
  check_preprocess(p);
  return p;
}

PublishedWeights entry_of(const json& row) {
  PublishedWeights w;
  w.name = row.at("name").get<std::string>();
  w.architecture = row.at("architecture").get<std::string>();
  w.url = row.at("url").get<std::string>();
  w.sha256 = row.at("sha256").get<std::string>();
  w.megabytes = row.at("megabytes").get<double>();
  w.top1 = row.at("top1").get<double>();
  w.top5 = row.at("top5").get<double>();
  w.licence = row.at("licence").get<std::string>();
  w.preprocess = preprocess_of(row);
  w.preferred = row.at("default").get<bool>();
  return w;
}

}  // namespace

std::vector<PublishedWeights> read_catalogue(const std::string& path) {
  const std::string name = path.empty() ? "the catalogue" : escaped(path);
  json rows = parse_json(path.empty() ? kCatalogueText : read_text(path, kMostBytes), name);
  GRAFT_CHECK(rows.is_array(), "{}: is no list of weights", name);
  std::vector<PublishedWeights> all;
  for (const json& row : rows) {
    try {
      all.push_back(entry_of(row));
    } catch (const std::exception& e) {
      fail(Fault::data, "{}: entry {}: {}", name, all.size(), escaped(e.what()));
    }
  }
  return all;
}

const PublishedWeights& find_weights(const std::vector<PublishedWeights>& catalogue,
                                     const std::string& name) {
  std::vector<std::string> names;
  for (const PublishedWeights& w : catalogue) {
    if (w.name == name || (w.preferred && w.architecture == name)) return w;
    names.push_back(w.name);
    if (w.preferred) names.push_back(w.architecture);
  }
  fail(Fault::usage, "there are no published weights '{}'; the nearest names are {}; all: graft "
       "models --pretrained", escaped(name), enumerate(nearest_names(name, names)));
}

const PublishedWeights* published_in(const std::vector<PublishedWeights>& catalogue,
                                     const std::string& architecture, const std::string& file) {
  const std::string hash = sha256_of_file(file);
  for (const PublishedWeights& w : catalogue)
    if (w.architecture == architecture && hash.starts_with(w.sha256)) return &w;
  return nullptr;
}

}  // namespace graft
