#include "apps/cache_folder.h"

#include <cstdlib>

namespace graft::app {

namespace fs = std::filesystem;

fs::path cache_folder(const std::string& given) {
  auto variable = [](const char* name) {
    return std::string(std::getenv(name) ? std::getenv(name) : "");
  };
  if (!given.empty()) return given;
  if (std::string folder = variable("GRAFT_CACHE"); !folder.empty()) return folder;
  if (std::string folder = variable("XDG_CACHE_HOME"); !folder.empty())
    return fs::path(folder) / "graft";
  if (std::string home = variable("HOME"); !home.empty())
    return fs::path(home) / ".cache" / "graft";
  return {};
}

}  // namespace graft::app
