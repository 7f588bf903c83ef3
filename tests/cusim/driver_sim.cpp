#include "tests/cusim/driver_sim.h"

#include <cstdio>
#include <cstdlib>

#include "kernels/driver.h"
#include "kernels/runtime.h"

namespace graft::cuda {
namespace {

constexpr int kBuiltWith = 12000;  // CUDA 12.0
constexpr std::string_view kNoImage = "no kernel image";

std::string& driver_says() {
  static const char* given = std::getenv("GRAFT_SIM_DRIVER");
  static std::string says = given ? given : "";
  return says;
}

}  // namespace

namespace sim {

void inject_driver(const std::string& says) { driver_says() = says; }
bool driver_works() { return driver_says().empty() || driver_says() == kNoImage; }

}  // namespace sim

DriverAnswer ask_driver() noexcept {
  int major = 0, minor = 0;
  if (std::sscanf(driver_says().c_str(), "%d.%d", &major, &minor) == 2)
    return {.too_old = true, .driver = 1000 * major + 10 * minor, .built_with = kBuiltWith};
  return {.driver = kBuiltWith, .built_with = kBuiltWith, .failure = driver_says()};
}

void require_code() {
  if (driver_says() == kNoImage)
    throw DeviceError("cudaFuncGetAttributes: no kernel image", kNoKernelImage, false);
}

const char* hash_of_kernels() noexcept { return "simulated"; }

}  // namespace graft::cuda
