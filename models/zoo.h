// Every network that can be built, by its published name.
#pragma once
#include <string>
#include <vector>

#include "models/zoo_row.h"

namespace graft {

const std::vector<ZooRow>& zoo();
const ZooRow& zoo_row(const std::string& network);  // throws with the nearest names

// "resnet50"; "resnet50:layer3" for one whose trunk ends after that stage; "resnet50+cosine" or
// "resnet50:layer3+mlp:256" for one whose head is no matrix (models/head_form.h).
struct NetworkName {
  std::string row, until, head;
  std::string text() const;
};
NetworkName parse_network(const std::string& name);

// A network with fresh initial values.
std::unique_ptr<Classifier> make_model(const std::string& name, int64_t classes, uint64_t seed = 0);

// One whose values are still to be loaded.
std::unique_ptr<Classifier> build_model(const std::string& name, int64_t classes);

}  // namespace graft
