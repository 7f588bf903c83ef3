#include "apps/place.h"

#include "core/check.h"

namespace graft::app {
namespace {

DType type_of(const std::string& precision) {
  return precision == "bf16" ? DType::bf16 : precision == "f16" ? DType::f16 : DType::f32;
}

}  // namespace

void add_precision(CLI::App& command, std::string& precision) {
  command.add_option("--precision", precision,
                     "On a CUDA device: f32, tf32, bf16, f16 (with loss scaling); auto: bf16. Parameters "
                     "are f32 always; on the processor all is")
      ->check(CLI::IsMember({"auto", "f32", "tf32", "bf16", "f16"}))
      ->capture_default_str();
}

Place place_for(const Common& common, const std::string& precision) {
  const std::string missing = common.device == "cpu" ? "" : why_no_cuda();
  if (common.device == "cuda" && !missing.empty())
    fail(Fault::unavailable, "--device cuda: {}; use --device cpu", missing);
  if (common.device == "auto" && !missing.empty() && built_with_cuda())
    say("notice: " + missing + "; computing on the processor");
  if (common.device != "cpu" && missing.empty())
    return {Device::cuda, precision == "auto" ? "bf16" : precision};
  if (precision != "auto" && precision != "f32")
    fail(Fault::unavailable, "--precision {}: needs a CUDA device; the processor computes in f32",
         precision);
  return {};
}

void place(Classifier& model, const Place& place) {
  allow_tf32(place.precision == "tf32");
  model.place(place.device, type_of(place.precision));
}

}  // namespace graft::app
