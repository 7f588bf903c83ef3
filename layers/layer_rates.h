// Learning rates of their own for parts of a network, as factors of the schedule's rate.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "layers/module.h"

namespace graft {

struct RatePlan {
  // Rate of the head times decay^depth, depth counted in blocks from the head (discriminative
  // fine-tuning: Howard and Ruder, ULMFiT, ACL 2018; by layer: Clark et al., ELECTRA, ICLR 2020).
  double decay = 1;
  // glob -> highest rate of what it matches, parameters or modules with all in them; the last one
  // that matches a parameter counts, and overrides the decay.
  struct Rate {
    std::string glob;
    double rate;
  };
  std::vector<Rate> rates;
};

// "layer4.*=0.0001"; throws Fault::usage where it is not GLOB=RATE with a rate above 0.
RatePlan::Rate parse_rate(const std::string& text);

// Factors of the rate of those parameters where it is not 1, by path; `base` is the highest rate of
// the schedule. Throws Fault::usage where a glob matches nothing that learns.
std::map<std::string, double> rate_factors(Module& model, const RatePlan& plan, double base);

}  // namespace graft
