// graft models: what can be built, and for what weights are published.
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "models/catalogue.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

void list_networks(bool json) {
  Json document = Json::array();
  std::string table = fmt::format("{:<20} {:>12} {:>8}  {}", "name", "parameters", "classes", "input");
  std::string_view family;
  for (const ZooRow& row : zoo()) {
    int side = row.preprocess.crop;
    document.push_back({{"name", row.name}, {"family", row.family}, {"parameters", row.parameters},
                        {"classes", row.classes}, {"input", side}});
    if (family != row.family) table += fmt::format("\n{}", family = row.family);
    table += fmt::format("\n  {:<18} {:>12} {:>8}  {}x{}", row.name, row.parameters, row.classes, side, side);
  }
  if (json) print(document);
  else print(table);
}

bool can_build(const std::string& architecture) {
  for (const ZooRow& row : zoo())
    if (row.name == architecture) return true;
  return false;
}

void list_weights(bool json) {
  Json document = Json::array();
  std::string table = fmt::format("{:<44} {:>8} {:>6} {:>6}  {:<7}  {}", "weights (* best of its network)",
                                  "MB", "top-1", "top-5", "input", "licence");
  for (const PublishedWeights& w : read_catalogue()) {
    if (!can_build(w.architecture)) continue;
    int side = w.preprocess.crop;
    document.push_back({{"name", w.name}, {"architecture", w.architecture}, {"url", w.url},
                        {"sha256", w.sha256}, {"megabytes", w.megabytes}, {"top1", w.top1},
                        {"top5", w.top5}, {"input", side}, {"licence", w.licence},
                        {"preferred", w.preferred}});
    table += fmt::format("\n{:<44} {:>8.1f} {:>6.2f} {:>6.2f}  {:<7}  {}", w.name + (w.preferred ? " *" : ""),
                         w.megabytes, w.top1, w.top5, fmt::format("{}x{}", side, side), w.licence);
  }
  if (json) print(document);
  else print(table + "\nget one with graft pull NAME");
}

}  // namespace

Run add_models(CLI::App& program) {
  Command c(program, "models", "List what can be built");
  struct Options {
    Common common;
    bool pretrained = false;
  };
  auto o = std::make_shared<Options>();
  c.flag("--pretrained", o->pretrained, "List published weights instead, for graft pull");
  add_common(c, o->common);
  c.footer("Examples:\n  graft models\n  graft models --pretrained");
  return [o] {
    if (o->pretrained) list_weights(o->common.json);
    else list_networks(o->common.json);
    return 0;
  };
}

}  // namespace graft::app
