#include "core/kernel_choice.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>

#include "core/check.h"
#include "core/dispatch.h"
#include "core/vendor_kernels.h"
#include "kernels/driver.h"

namespace graft {
namespace {

std::atomic<Kernels> whose{Kernels::own};
std::mutex mutex;  // of the verdicts
KernelVerdicts verdicts;

}  // namespace

bool built_with_vendor() { return kWithVendor; }

std::string vendor_versions() { return kWithVendor ? vendor_kernels().versions() : ""; }

KernelVersions kernel_versions() {
  if constexpr (kWithCuda) {
    const int driver = cuda::ask_driver().driver;
    return {cuda::hash_of_kernels(), vendor_versions(),
            fmt::format("CUDA {}.{}", driver / 1000, driver % 1000 / 10)};
  }
  return {};
}

void use_kernels(Kernels wanted) {
  if (wanted != Kernels::own) vendor_kernels();
  whose = wanted;
}

Kernels kernels_in_use() { return whose; }

KernelVerdicts kernel_verdicts() {
  std::lock_guard lock(mutex);
  return verdicts;
}

void set_kernel_verdicts(KernelVerdicts known) {
  std::lock_guard lock(mutex);
  verdicts = std::move(known);
}

double microseconds_on_device([[maybe_unused]] const Work& work) {
  if constexpr (kWithCuda) {
    work();  // what is made at the first call
    const cuda::Event begin = cuda::create_event(true), end = cuda::create_event(true);
    std::array<double, 5> times;
    for (double& time : times) {
      cuda::record(begin, stream());
      work();
      cuda::record(end, stream());
      cuda::synchronize(end);
      time = 1e3 * double(cuda::milliseconds(begin, end));
    }
    cuda::destroy(begin);
    cuda::destroy(end);
    std::nth_element(times.begin(), times.begin() + 2, times.end());
    return times[2];
  }
  return 0;
}

bool ours_run(const std::function<std::string()>& problem, const Work& own, const Work& vendor,
              const std::function<double(const Work&)>& microseconds) {
  if (whose != Kernels::automatic) return whose == Kernels::own;
  const std::string name = problem();
  std::lock_guard lock(mutex);
  auto found = verdicts.find(name);
  if (found == verdicts.end()) {
    const double ours = microseconds(own);
    found = verdicts.emplace(name, KernelVerdict{ours, microseconds(vendor)}).first;
  }
  return found->second.own <= found->second.vendor;
}

}  // namespace graft
