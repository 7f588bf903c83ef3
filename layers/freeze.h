// What learns and what stays, as one line of text that is printed, stored and applied:
//   none          everything learns                 trunk        all but the head stays
//   until:layer4  all before layer4 stays           60%          the first 60 % of the layers stay
//   layer1        this layer stays, and all in it   *.bias       so do all that match (* ? [a-c])
//   !layer1.0     but this one learns
//   bn=frozen           policy of every norm layer: frozen, affine, stats or train
//   bn=affine@layer4    of the norms in layer4 (names and globs as above), the last that matches counts
//   bias-only     all but the head and biases stays (BitFit: Zaken et al., ACL 2022)
//   norm-only     all but the head and the gamma and beta of norms stays (Frankle et al., ICLR 2021)
// In the last two running statistics stay, too, unless bn=train, which lets gamma learn as well.
// Terms are separated by commas or spaces and apply from left to right, those with bn= last. A frozen
// norm keeps its policy when its block learns again (see layers/batch_norm.h). A name that matches
// nothing is an error.
#pragma once
#include <string>
#include <vector>

#include "layers/batch_norm.h"
#include "layers/module.h"

namespace graft {

struct NormTerm {
  NormPolicy policy;
  std::string layers;  // glob: norms, or layers that they are in; "*": all
  bool operator==(const NormTerm&) const = default;
};

struct FreezePlan {
  std::vector<std::string> terms;  // in order, without bn=
  std::vector<NormTerm> norms;

  static FreezePlan parse(const std::string& text);
  std::string text() const;
};

// `head` is the path of the layer that "trunk" spares, "fc" say.
void freeze(Module& model, const FreezePlan& plan, const std::string& head);

struct FreezeRow {
  std::string layer;       // path
  std::string description;
  int64_t parameters, trained;
};
std::vector<FreezeRow> freeze_table(Module& model);  // layers with parameters, in order

// Everything that training must not change, by path: parameters that do not learn and running
// statistics that do not move.
std::vector<std::pair<std::string, Tensor>> frozen_tensors(Module& model);

}  // namespace graft
