// kernels.json in the cache folder: which kernels were faster, measured by --kernels auto. It holds
// for one GPU, one version of graft and one of NVIDIA's libraries; what is of others is not read.
#pragma once
#include "apps/command.h"
#include "core/kernel_choice.h"

namespace graft::app {

// Empty where there is no such file, it is damaged, or it is of another device or version.
KernelVerdicts read_verdicts(const std::string& device);
// Says so in one line where it cannot be written; nothing is lost but time.
void write_verdicts(const std::string& device, const KernelVerdicts& verdicts);

Json read_kernel_file();  // as it is; null where there is none or it is damaged

}  // namespace graft::app
