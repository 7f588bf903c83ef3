#include "io/sampling.h"

#include <utility>

#include "core/random.h"

namespace graft {
namespace {

void shuffle(std::vector<int64_t>& values, Random& random) {
  for (size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

}  // namespace

std::vector<int64_t> balanced_order(const Dataset& data, uint64_t seed, uint64_t epoch) {
  std::vector<std::vector<int64_t>> classes(data.classes.size());
  for (size_t i = 0; i < data.samples.size(); ++i)
    classes[size_t(data.samples[i].label)].push_back(int64_t(i));
  std::erase_if(classes, [](auto& samples) { return samples.empty(); });

  if (classes.empty()) return {};
  Random random(seed, "balanced", epoch);
  std::vector<int64_t> turns;  // classes in the order in which they get what is left over
  for (size_t c = 0; c < classes.size(); ++c) turns.push_back(int64_t(c));
  shuffle(turns, random);
  std::vector<int64_t> order;
  for (size_t turn = 0; turn < turns.size(); ++turn) {
    std::vector<int64_t>& samples = classes[size_t(turns[turn])];
    size_t places =
        data.samples.size() / classes.size() + (turn < data.samples.size() % classes.size());
    for (size_t place = 0; place < places; ++place) {
      if (place % samples.size() == 0) shuffle(samples, random);
      order.push_back(samples[place % samples.size()]);
    }
  }
  shuffle(order, random);
  return order;
}

}  // namespace graft
