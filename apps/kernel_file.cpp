#include "apps/kernel_file.h"

#include <nlohmann/json.hpp>

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

bool is_whole(const Json& document) {
  if (!document.is_object()) return false;
  for (const char* key : {"graft", "device", "libraries"})
    if (!document.contains(key) || !document[key].is_string()) return false;
  if (!document.contains("kernels") || !document["kernels"].is_object()) return false;
  for (const Json& times : document["kernels"])
    for (const char* key : {"own_us", "vendor_us"})
      if (!times.is_object() || !times.contains(key) || !times[key].is_number()) return false;
  return true;
}

}  // namespace

Json read_kernel_file() {
  if (cache_folder().empty() || !std::filesystem::exists(path())) return nullptr;
  try {
    Json document = Json::parse(read_text(path(), kMostBytes), nullptr, /*allow_exceptions=*/false);
    return is_whole(document) ? document : nullptr;
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
    if (document[key] != value) return verdicts;
  for (auto& [problem, times] : document["kernels"].items())
    verdicts[problem] = {times["own_us"].get<double>(), times["vendor_us"].get<double>()};
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
