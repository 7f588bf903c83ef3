#include "core/text.h"

#include <algorithm>
#include <numeric>

namespace graft {
namespace {

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t substituted = diagonal + (a[i - 1] != b[j - 1]);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, substituted});
    }
  }
  return row[b.size()];
}

}  // namespace

std::vector<std::string> nearest_names(std::string_view word, const std::vector<std::string>& names,
                                       size_t most) {
  std::vector<std::pair<size_t, std::string>> ranked;
  for (const std::string& name : names) ranked.emplace_back(edit_distance(word, name), name);
  most = std::min(most, ranked.size());
  std::partial_sort(ranked.begin(), ranked.begin() + most, ranked.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < most; ++i) nearest.push_back(ranked[i].second);
  return nearest;
}

std::string enumerate(const std::vector<std::string>& words, size_t most) {
  std::string text;
  size_t shown = words.size() > most ? most : words.size();
  for (size_t i = 0; i < shown; ++i) {
    bool last = i + 1 == words.size() && i > 0;
    text += (i == 0 ? "" : last ? " and " : ", ") + words[i];
  }
  if (shown < words.size()) text += " and " + std::to_string(words.size() - shown) + " more";
  return text;
}

std::vector<std::string> split(std::string_view text, std::string_view separators) {
  std::vector<std::string> parts;
  for (size_t at = 0; (at = text.find_first_not_of(separators, at)) != text.npos;) {
    size_t end = std::min(text.find_first_of(separators, at), text.size());
    parts.emplace_back(text.substr(at, end - at));
    at = end;
  }
  return parts;
}

}  // namespace graft
