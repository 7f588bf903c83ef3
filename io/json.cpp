#include "io/json.h"

#include <set>
#include <vector>

#include "core/check.h"
#include "io/source_file.h"

namespace graft {

nlohmann::json parse_json(std::string_view text, const std::string& file, int max_depth) {
  using nlohmann::json;
  using Event = json::parse_event_t;
  std::vector<std::set<std::string>> keys;  // one set per object that is open
  auto check = [&](int depth, Event event, json& value) {
    GRAFT_CHECK(depth < max_depth, "{}: JSON nested deeper than {}", file, max_depth);
    if (event == Event::object_start) keys.emplace_back();
    if (event == Event::object_end) keys.pop_back();
    if (event == Event::key) {
      const std::string& key = value.get_ref<const std::string&>();
      GRAFT_CHECK(keys.back().insert(key).second, "{}: JSON key \"{}\" appears twice", file,
                  escaped(key));
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::exception& e) {
    fail(Fault::data, "{}: bad JSON: {}", file, escaped(e.what()));
  }
}

}  // namespace graft
