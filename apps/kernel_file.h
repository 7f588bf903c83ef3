// kernels.json in the cache folder: which kernels were faster, measured by --kernels auto. It can
// always be measured again: where the file cannot be read or written, one line says so.
#pragma once
#include "apps/kernel_sections.h"

namespace graft::app {

KernelSections read_kernel_file();  // empty where there is none, or it is not used
KernelSetting kernel_setting(const std::string& device);  // of this program on that GPU
// Those of this setting; what the file holds of others stays.
void write_verdicts(const KernelSetting& setting, const KernelVerdicts& verdicts);

}  // namespace graft::app
