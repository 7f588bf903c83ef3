#include "tests/cusim/driver_sim.h"

#include <cstdio>
#include <cstdlib>

#include "kernels/driver.h"

namespace graft::cuda {
namespace {

constexpr int kBuiltWith = 12000;  // CUDA 12.0

std::string& driver_says() {
  static const char* given = std::getenv("GRAFT_SIM_DRIVER");
  static std::string says = given ? given : "";
  return says;
}

}  // namespace

namespace sim {

void inject_driver(const std::string& says) { driver_says() = says; }
bool driver_works() { return driver_says().empty(); }

}  // namespace sim

DriverAnswer ask_driver() noexcept {
  int major = 0, minor = 0;
  if (std::sscanf(driver_says().c_str(), "%d.%d", &major, &minor) == 2)
    return {.too_old = true, .driver = 1000 * major + 10 * minor, .built_with = kBuiltWith};
  return {.built_with = kBuiltWith, .failure = driver_says()};
}

}  // namespace graft::cuda
