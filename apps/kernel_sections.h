// What --kernels auto has measured, as the text of kernels.json: a section for each device, driver and
// version, so that one GPU, or one build of graft, forgets nothing of another.
#pragma once
#include <string>
#include <vector>

#include "core/kernel_choice.h"

namespace graft::app {

struct KernelSetting {  // what times hold for, and nothing else
  std::string graft;    // version
  std::string device;   // name of the GPU
  KernelVersions versions;
  bool operator==(const KernelSetting&) const = default;
};

struct KernelSection {
  KernelSetting setting;
  KernelVerdicts verdicts;
};
using KernelSections = std::vector<KernelSection>;  // those last measured first

// Throws Fault::data where the text is damaged, or of a graft that wrote another format.
KernelSections sections_of(const std::string& text);
std::string text_of(const KernelSections& sections);

// Verdicts for this setting; none where it has no section.
KernelVerdicts verdicts_for(const KernelSections& sections, const KernelSetting& setting);
// Puts the section in front, with what one of the same setting knew besides. Of all there are
// kMostSections at most: the oldest go.
constexpr size_t kMostSections = 32;
void put_section(KernelSections& sections, KernelSection section);

}  // namespace graft::app
