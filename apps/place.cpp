#include "apps/place.h"

#include <algorithm>

#include "apps/kernel_file.h"
#include "core/check.h"
#include "core/kernel_choice.h"
#include "kernels/runtime.h"
#include "models/network_trace.h"

namespace graft::app {
namespace {

DType type_of(const std::string& precision) {
  return precision == "bf16" ? DType::bf16 : precision == "f16" ? DType::f16 : DType::f32;
}

Kernels kernels_of(const std::string& name) {
  return name == "vendor" ? Kernels::vendor : name == "auto" ? Kernels::automatic : Kernels::own;
}

}  // namespace

struct Place::Measuring {
  KernelSetting setting;
  size_t known;  // verdicts at the beginning

  explicit Measuring(const std::string& device) : setting(kernel_setting(device)) {
    set_kernel_verdicts(verdicts_for(read_kernel_file(), setting));
    known = kernel_verdicts().size();
  }
  ~Measuring() {
    const KernelVerdicts verdicts = kernel_verdicts();
    if (verdicts.size() > known) write_verdicts(setting, verdicts);
  }
};

Place::Place() = default;
Place::~Place() = default;
Place::Place(Place&&) = default;
Place& Place::operator=(Place&&) = default;

void add_place(Command& command, PlaceOptions& o) {
  command.one_of("--precision", o.precision, {"auto", "f32", "tf32", "bf16", "f16"},
                 "On a CUDA device: f32, tf32, bf16, f16 (with loss scaling); auto: bf16. "
                 "Parameters are f32 always; on the processor all is");
  command.one_of("--kernels", o.kernels, {"own", "vendor", "auto"}, "On a CUDA device: own, vendor "
                 "(cuBLASLt and cuDNN), or auto: each shape is measured once, and the verdict "
                 "kept; see graft kernels");
}

Place::Place(const Common& common, const PlaceOptions& o) {
  const std::string missing = common.device == "cpu" ? "" : why_no_cuda();
  if (common.device == "cuda" && !missing.empty())
    fail(Fault::unavailable, "--device cuda: {}; --device cpu does without", missing);
  if (common.device == "auto" && !missing.empty() && built_with_cuda())
    say("notice: " + missing + "; computing on the processor");
  if (common.device != "cpu" && missing.empty()) {
    device = Device::cuda;
    precision = o.precision == "auto" ? "bf16" : o.precision;
    use_kernels(kernels_of(o.kernels), [](const std::string& line) { say("notice: " + line); });
    if (o.kernels == "auto") measuring_ = std::make_unique<Measuring>(name_of_cuda_device());
    return;
  }
  if (o.precision != "auto" && o.precision != "f32")
    fail(Fault::unavailable, "--precision {}: needs a CUDA device; the processor computes in f32",
         o.precision);
}

void Place::bring(Classifier& model) const {
  allow_tf32(precision == "tf32");
  try {
    model.place(device, type_of(precision));
  } catch (const cuda::OutOfMemory& e) {
    fail(Fault::os, "the weights do not fit into the memory of the CUDA device: {}; --device cpu does "
         "without", e.what());
  }
}

void Place::check_batch(Classifier& model, int64_t batch, int64_t images) const {
  if (device == Device::cpu) return;
  const int side = model.preprocess.crop;
  const int64_t most = largest_cuda_batch(model, side);
  if (images <= most) return;
  const int64_t smaller = most - std::max<int64_t>(images - batch, 0);
  fail(Fault::usage, "--batch {}: {} images of {} x {} pixels make a map of 2^31 values or more, which no "
       "convolution on a CUDA device takes; {}", batch, images, side, side,
       smaller > 0 ? fmt::format("use --batch {}", smaller) : "take smaller images");
}

}  // namespace graft::app
