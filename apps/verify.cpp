// graft verify: does this machine compute what the model file says it computes?
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "models/saved.h"

namespace graft::app {
namespace {

struct VerifyOptions {
  Common common;
  std::string file;
};

int run_verify(const VerifyOptions& o) {
  apply(o.common);
  Adopted adopted = adopt(o.file, "");
  double difference = require_golden(adopted, o.file);
  size_t tensors = adopted.report.loaded.size(), frozen = adopted.file.frozen_hashes.size();
  if (o.common.json)
    print(Json{{"architecture", adopted.model->architecture}, {"tensors", tensors},
               {"golden_difference", difference}, {"frozen_tensors", frozen}});
  else
    print(fmt::format("{}: {}, {} tensors; the golden logits are reproduced within {:.2g} of the largest",
                      printable(o.file), adopted.model->architecture, tensors, difference));
  return 0;
}

}  // namespace

Run add_verify(CLI::App& program) {
  Command c(program, "verify", "Replay the golden input of a model file");
  auto o = std::make_shared<VerifyOptions>();
  c.required("file", o->file, "Model file");
  add_common(c, o->common);
  c.footer("Example:\n  graft verify resnet50.h5");
  return [o] { return run_verify(*o); };
}

}  // namespace graft::app
