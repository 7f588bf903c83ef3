// Whose kernels compute convolutions and matrix products on a CUDA device: ours, or those of
// NVIDIA's cuBLASLt and cuDNN, where this build has them and they have the form that is asked for.
#pragma once
#include <functional>
#include <map>
#include <string>

namespace graft {

enum class Kernels { own, vendor, automatic };

bool built_with_vendor();
std::string vendor_versions();    // "cuBLASLt 130002, cuDNN 91300"; "" without; loads them
struct KernelVersions {  // of what computes: times hold for these alone
  std::string own;        // a hash of our CUDA kernels and their compiler
  std::string libraries;  // vendor_versions()
  std::string driver;     // "CUDA 13.0"
  bool operator==(const KernelVersions&) const = default;
};
KernelVersions kernel_versions();  // empty strings in a build without CUDA
// Own at first; holds for every thread. Where NVIDIA's have no plan for a problem ours compute it;
// with `vendor` that is said for the first of a kind, such as "conv2d wgrad". Throws Fault::unavailable.
using SayLine = std::function<void(const std::string&)>;
void use_kernels(Kernels whose, SayLine say = {});
Kernels kernels_in_use();

// What `automatic` has found so far: microseconds of each, by problem; vendor's are infinite where it
// has no plan. Kept for the life of the process; a program that wants them to outlive it reads and
// sets them.
struct KernelVerdict {
  double own, vendor;
};
using KernelVerdicts = std::map<std::string, KernelVerdict>;
KernelVerdicts kernel_verdicts();
void set_kernel_verdicts(KernelVerdicts verdicts);

// For operations: which of the two is to run. `problem()` names the shape, the types and the last
// step. With `automatic` both are timed the first time that a problem is met, so both must give the
// same result however often they run. microseconds(work) is what times them: the product alone.
// What our own kernels leave for a batch norm besides, statistics and the sums of its gradient,
// they leave wherever they run, chosen by either; that it saves a pass over memory does not count
// for them.
using Work = std::function<void()>;
double microseconds_on_device(const Work& work);  // median of a few runs
bool ours_run(const std::function<std::string()>& problem, const Work& own, const Work& vendor,
              const std::function<double(const Work&)>& microseconds = microseconds_on_device);

}  // namespace graft
