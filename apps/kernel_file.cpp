#include "apps/kernel_file.h"

#include "apps/cache_folder.h"
#include "apps/command.h"
#include "core/check.h"
#include "io/file.h"

namespace graft::app {
namespace {

constexpr int64_t kMostBytes = 16 << 20;

std::filesystem::path path() { return cache_folder() / "kernels.json"; }

KernelSections sections_in_file() {
  if (cache_folder().empty() || !std::filesystem::exists(path())) return {};
  return sections_of(read_text(path(), kMostBytes));
}

// For writing them again: a file that is not used was told of when it was read.
KernelSections sections_to_keep() {
  try {
    return sections_in_file();
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

KernelSections read_kernel_file() {
  try {
    return sections_in_file();
  } catch (const Error& e) {
    say(fmt::format("warning: what --kernels auto measured before is not used: {}", e.what()));
    return {};
  }
}

KernelSetting kernel_setting(const std::string& device) {
  return {GRAFT_VERSION, device, kernel_versions()};
}

void write_verdicts(const KernelSetting& setting, const KernelVerdicts& verdicts) {
  try {
    if (cache_folder().empty()) return;
    make_writable_folder(cache_folder());
    KernelSections sections = sections_to_keep();
    put_section(sections, {setting, verdicts});
    const std::string text = text_of(sections);
    AtomicFile file(path());
    file.append(text.data(), text.size());
    file.commit();
  } catch (const Error& e) {
    say(std::string("warning: what --kernels auto measured is not kept: ") + e.what());
  }
}

}  // namespace graft::app
