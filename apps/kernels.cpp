// graft kernels: what --kernels auto has measured.
#include <nlohmann/json.hpp>

#include "apps/kernel_file.h"
#include "core/check.h"

namespace graft::app {
namespace {

void show(const Json& document) {
  std::string table =
      fmt::format("{}, {}, graft {}\n{:>10} {:>10} {:>6}  {}",
                  document["device"].get<std::string>(), document["libraries"].get<std::string>(),
                  document["graft"].get<std::string>(), "own us", "vendor us", "", "problem");
  for (auto& [problem, times] : document["kernels"].items()) {
    const double own = times["own_us"], vendor = times["vendor_us"];
    table += fmt::format("\n{:>10.1f} {:>10.1f} {:>6}  {}", own, vendor,
                         vendor < own ? "vendor" : "own", problem);
  }
  print(table);
}

}  // namespace

Run add_kernels(CLI::App& program) {
  Command c(program, "kernels", "Show what --kernels auto has measured on this machine");
  auto common = std::make_shared<Common>();
  add_common(c, *common);
  c.footer("Example:\n  graft kernels");
  return [common] {
    const Json document = read_kernel_file();
    if (common->json)
      print(document.is_null() ? Json::object() : document);
    else if (document.is_null())
      print(std::string("nothing has been measured yet"));
    else
      show(document);
    return 0;
  };
}

}  // namespace graft::app
