// Small help for messages that name things.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace graft {

// Up to `most` of the names that are nearest to `word` by edit distance, nearest first.
std::vector<std::string> nearest_names(std::string_view word, const std::vector<std::string>& names,
                                       size_t most = 3);

// "a, b and c"; with more than `most`, "a, b and 7 more".
std::string enumerate(const std::vector<std::string>& words, size_t most = 20);

std::vector<std::string> split(std::string_view text, std::string_view separators);  // no empty parts

}  // namespace graft
