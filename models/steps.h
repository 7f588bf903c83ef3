// A trunk as a row of steps, each a function of what the one before made. Between two steps a
// network can be cut: what lies before can run by itself, and its result be kept.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "layers/sequential.h"

namespace graft {

struct Step {
  std::vector<std::string> paths;     // of modules and parameters that it runs; mostly one or none
  std::function<Tensor(Tensor)> run;  // valid as long as the network is
};
using Steps = std::vector<Step>;

bool runs(const Step& step, const std::string& path);  // the module or parameter at this path

// A chain at `path`, a step for each of its blocks; chains within it likewise.
void append(Steps& steps, const std::string& path, Sequential& chain);

}  // namespace graft
