#include "apps/kernel_sections.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "core/check.h"

namespace graft::app {
namespace {

constexpr int kFormat = 2;

[[noreturn]] void refuse_damaged() { fail(Fault::data, "kernels.json is damaged"); }

const Json& part(const Json& whole, const char* name) {
  if (!whole.is_object() || !whole.contains(name)) refuse_damaged();
  return whole[name];
}

std::string text_at(const Json& whole, const char* name) {
  const Json& text = part(whole, name);
  if (!text.is_string()) refuse_damaged();
  return text;
}

double microseconds_at(const Json& times, const char* name) {
  const Json& time = part(times, name);
  if (!time.is_number()) refuse_damaged();
  return time;
}

// null: no plan
double vendor_at(const Json& times) {
  const bool none = part(times, "vendor_us").is_null();
  return none ? std::numeric_limits<double>::infinity() : microseconds_at(times, "vendor_us");
}

Json vendor_json(double us) { return std::isinf(us) ? Json() : Json(us); }

KernelSection section_of(const Json& json) {
  KernelSection section{{text_at(json, "graft"), text_at(json, "device"),
                         {text_at(json, "own"), text_at(json, "libraries"), text_at(json, "driver")}},
                        {}};
  const Json& kernels = part(json, "kernels");
  if (!kernels.is_object()) refuse_damaged();
  for (auto& [problem, times] : kernels.items())
    section.verdicts[problem] = {microseconds_at(times, "own_us"), vendor_at(times)};
  return section;
}

Json json_of(const KernelSection& section) {
  const KernelSetting& s = section.setting;
  Json kernels = Json::object();
  for (auto& [problem, times] : section.verdicts)
    kernels[problem] = {{"own_us", times.own}, {"vendor_us", vendor_json(times.vendor)}};
  return {{"device", s.device},
          {"graft", s.graft},
          {"own", s.versions.own},
          {"libraries", s.versions.libraries},
          {"driver", s.versions.driver},
          {"kernels", kernels}};
}

auto section_for(auto& sections, const KernelSetting& setting) {
  return std::find_if(sections.begin(), sections.end(),
                      [&](const KernelSection& section) { return section.setting == setting; });
}

}  // namespace

KernelSections sections_of(const std::string& text) {
  const Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) refuse_damaged();
  if (!document.contains("format") || document["format"] != kFormat)
    fail(Fault::data, "kernels.json was written by another version of graft");
  const Json& measured = part(document, "measured");
  if (!measured.is_array()) refuse_damaged();
  KernelSections sections;
  for (const Json& json : measured) sections.push_back(section_of(json));
  return sections;
}

std::string text_of(const KernelSections& sections) {
  Json measured = Json::array();
  for (const KernelSection& section : sections) measured.push_back(json_of(section));
  return Json{{"format", kFormat}, {"measured", measured}}.dump(1) + "\n";
}

KernelVerdicts verdicts_for(const KernelSections& sections, const KernelSetting& setting) {
  auto found = section_for(sections, setting);
  return found == sections.end() ? KernelVerdicts{} : found->verdicts;
}

void put_section(KernelSections& sections, KernelSection section) {
  if (auto before = section_for(sections, section.setting); before != sections.end()) {
    section.verdicts.merge(before->verdicts);
    sections.erase(before);
  }
  sections.insert(sections.begin(), std::move(section));
  if (sections.size() > kMostSections) sections.resize(kMostSections);
}

}  // namespace graft::app
