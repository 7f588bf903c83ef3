// Every network that can be built, by its published name.
#pragma once
#include <memory>
#include <span>
#include <string>

#include "models/classifier.h"

namespace graft {

struct ZooRow {
  const char* name;
  std::unique_ptr<Classifier> (*build)(int64_t classes);  // values uninitialised
  int64_t parameters;                                     // published, with `classes` classes
  int64_t classes;
  int input;                                              // usual image side in pixels
};

std::span<const ZooRow> zoo();
const ZooRow& zoo_row(const std::string& name);  // throws with the nearest names

// A network with fresh initial values.
std::unique_ptr<Classifier> make_model(const std::string& name, int64_t classes, uint64_t seed = 0);

// One whose values are still to be loaded.
std::unique_ptr<Classifier> build_model(const std::string& name, int64_t classes);

}  // namespace graft
