// Strict JSON for files of unknown origin: no key twice, bounded depth, valid UTF-8.
// Only the .cpp files of io/ include this; nlohmann-json is not part of io's interface.
#pragma once
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace graft {

// `file` names the source in messages. Throws Error with Fault::data.
nlohmann::json parse_json(std::string_view text, const std::string& file, int max_depth = 64);

}  // namespace graft
