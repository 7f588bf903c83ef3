// graft kernels: what --kernels auto has measured.
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/kernel_file.h"
#include "core/check.h"

namespace graft::app {
namespace {

void show(const KernelSection& section) {
  const KernelSetting& s = section.setting;
  std::string table = fmt::format(
      "{}, driver of {}, {}, graft {}, its kernels {}\n{:>10} {:>10} {:>6}  {}", s.device, s.versions.driver,
      s.versions.libraries, s.graft, s.versions.own, "own us", "vendor us", "", "problem");
  for (auto& [problem, times] : section.verdicts)
    table += fmt::format("\n{:>10.1f} {:>10} {:>6}  {}", times.own,
                         std::isinf(times.vendor) ? "no plan" : fmt::format("{:.1f}", times.vendor),
                         times.vendor < times.own ? "vendor" : "own", problem);
  print(table);
}

}  // namespace

Run add_kernels(CLI::App& program) {
  Command c(program, "kernels", "Show what --kernels auto has measured on this machine");
  auto common = std::make_shared<Common>();
  add_common(c, *common);
  c.footer("Example:\n  graft kernels");
  return [common] {
    const KernelSections sections = read_kernel_file();
    if (common->json)
      print(Json::parse(text_of(sections)));
    else if (sections.empty())
      print(std::string("nothing has been measured yet"));
    else
      for (const KernelSection& section : sections) show(section);
    return 0;
  };
}

}  // namespace graft::app
