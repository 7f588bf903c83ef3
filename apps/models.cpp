// graft models: what can be built.
#include "apps/command.h"
#include "models/zoo.h"

namespace graft::app {

Run add_models(CLI::App& program) {
  CLI::App* c = program.add_subcommand("models", "List what can be built");
  auto common = std::make_shared<Common>();
  add_common(*c, *common);
  c->footer("Example:\n  graft models");
  return [common] {
    Json document = Json::array();
    std::string table = fmt::format("{:<16} {:>12} {:>8}  {}", "name", "parameters", "classes", "input");
    for (const ZooRow& row : zoo()) {
      document.push_back({{"name", row.name}, {"parameters", row.parameters},
                          {"classes", row.classes}, {"input", row.preprocess.crop}});
      table += fmt::format("\n{:<16} {:>12} {:>8}  {}x{}", row.name, row.parameters, row.classes,
                           row.preprocess.crop, row.preprocess.crop);
    }
    if (common->json) print(document);
    else print(table);
    return 0;
  };
}

}  // namespace graft::app
