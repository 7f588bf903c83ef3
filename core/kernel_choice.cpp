#include "core/kernel_choice.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <mutex>
#include <set>

#include "core/check.h"
#include "core/dispatch.h"
#include "core/vendor_kernels.h"
#include "kernels/driver.h"

namespace graft {
namespace {

std::atomic<Kernels> whose{Kernels::own};
std::mutex mutex;  // of what follows
KernelVerdicts verdicts;
SayLine say_line;
std::map<std::string, bool> has_plan;  // NVIDIA's, by problem
std::set<std::string> told;            // kinds of problems that it has none for

constexpr double kNever = std::numeric_limits<double>::infinity();

// The first two words of a problem's name: "conv2d wgrad", "gemm bf16".
std::string kind_of(const std::string& problem) {
  return problem.substr(0, problem.find(' ', problem.find(' ') + 1));
}

double microseconds_of_vendor(const Work& vendor,
                              const std::function<double(const Work&)>& microseconds) {
  try {
    return microseconds(vendor);
  } catch (const vendor::NoPlan&) {
    return kNever;
  }
}

// Asked by running it, once for each problem.
bool vendor_has_plan(const std::string& problem, const Work& vendor) {
  const auto [found, unknown] = has_plan.try_emplace(problem, true);
  if (!unknown) return found->second;
  try {
    vendor();
  } catch (const vendor::NoPlan& e) {
    found->second = false;
    if (told.insert(kind_of(problem)).second && say_line)
      say_line(fmt::format("no vendor plan for {} ({}): ours compute it", problem, e.what()));
  } catch (...) {
    has_plan.erase(found);
    throw;
  }
  return found->second;
}

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

void use_kernels(Kernels wanted, SayLine say) {
  if (wanted != Kernels::own) vendor_kernels();
  std::lock_guard lock(mutex);
  say_line = std::move(say);
  has_plan.clear();
  told.clear();
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
  const Kernels wanted = whose;
  if (wanted == Kernels::own) return true;
  const std::string name = problem();
  std::lock_guard lock(mutex);
  if (wanted == Kernels::vendor) return !vendor_has_plan(name, vendor);
  auto found = verdicts.find(name);
  if (found == verdicts.end()) {
    const double ours = microseconds(own), theirs = microseconds_of_vendor(vendor, microseconds);
    found = verdicts.emplace(name, KernelVerdict{ours, theirs}).first;
  }
  return found->second.own <= found->second.vendor;
}

}  // namespace graft
