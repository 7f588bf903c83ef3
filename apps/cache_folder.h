// Where graft keeps what it can get or measure again.
#pragma once
#include <filesystem>
#include <string>

namespace graft::app {

// `given`, else $GRAFT_CACHE, else $XDG_CACHE_HOME/graft, else ~/.cache/graft; empty without a
// home.
std::filesystem::path cache_folder(const std::string& given = "");

}  // namespace graft::app
