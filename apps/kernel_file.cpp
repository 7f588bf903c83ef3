#include "apps/kernel_file.h"

#include "apps/cache_folder.h"
#include "core/check.h"
#include "io/file.h"

namespace graft::app {
namespace {

constexpr int64_t kMostBytes = 16 << 20;

std::filesystem::path path() { return cache_folder() / "kernels.json"; }

Json heading(const std::string& device) {
  return {{"graft", GRAFT_VERSION}, {"device", device}, {"libraries", vendor_versions()}};
}

}  // namespace

Json read_kernel_file() {
  if (cache_folder().empty() || !std::filesystem::exists(path())) return nullptr;
  try {
    Json document = Json::parse(read_text(path(), kMostBytes), nullptr, /*allow_exceptions=*/false);
    return document.is_object() && document.contains("kernels") ? document : nullptr;
  } catch (const Error&) {
    return nullptr;
  }
}

KernelVerdicts read_verdicts(const std::string& device) {
  KernelVerdicts verdicts;
  const Json document = read_kernel_file();
  if (document.is_null()) return verdicts;
  const Json expected = heading(device);
  for (auto& [key, value] : expected.items())
    if (document.value(key, Json()) != value) return verdicts;
  for (auto& [problem, times] : document["kernels"].items()) {
    const Json own = times.value("own_us", Json()), vendor = times.value("vendor_us", Json());
    if (own.is_number() && vendor.is_number())
      verdicts[problem] = {own.get<double>(), vendor.get<double>()};
  }
  return verdicts;
}

void write_verdicts(const std::string& device, const KernelVerdicts& verdicts) {
  Json document = heading(device), kernels = Json::object();
  for (auto& [problem, times] : verdicts)
    kernels[problem] = {{"own_us", times.own}, {"vendor_us", times.vendor}};
  document["kernels"] = kernels;
  try {
    if (cache_folder().empty()) return;
    make_writable_folder(cache_folder());
    AtomicFile file(path());
    const std::string text = document.dump(1) + "\n";
    file.append(text.data(), text.size());
    file.commit();
  } catch (const Error& e) {
    say(std::string("warning: what --kernels auto measured is not kept: ") + e.what());
  }
}

}  // namespace graft::app
