// --trunk-precision: on the processor, convolutions that stay may round their factors to bf16.
#pragma once
#include "apps/place.h"
#include "models/saved.h"

namespace graft::app {

void add_trunk_precision(Command& command, std::string& precision, const std::string& of_what);

bool some_round(Classifier& model);  // frozen as it is now

// Allows bf16 or not from here on; says in one line why that changes nothing or does not pay. `some` of
// what `plan` keeps would round.
void settle_trunk_precision(const std::string& precision, const Place& where, bool some,
                            const std::string& plan);
// Of a network that only computes what stayed in training rounds: by the plan that its file keeps, or as
// in a trunk.
void settle_trunk_precision(const std::string& precision, const Place& where, Adopted& adopted);

}  // namespace graft::app
