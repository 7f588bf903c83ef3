#include "apps/trunk_precision.h"

#include "core/device.h"
#include "kernels/bf16_products.h"
#include "layers/conv2d.h"

namespace graft::app {
namespace {

using cpu::Bf16Products;

bool rounds(const Conv2d& conv) {
  return !conv.weight.requires_grad() &&
         cpu::rounds_to_bf16(conv.weight.dim(3), conv.weight.dim(0), conv.spec.groups);
}

// Empty where it has an effect.
std::string why_it_has_none(const Place& where, bool some, const std::string& plan) {
  if (where.device != Device::cpu) return "on a CUDA device --precision is for all of the network";
  if (!some) return fmt::format("the freeze plan {} keeps no convolution that it would round", plan);
  if (cpu::bf16_products() == Bf16Products::none) return "this processor has no products of bf16";
  return "";
}

}  // namespace

void add_trunk_precision(Command& command, std::string& precision, const std::string& of_what) {
  command.one_of("--trunk-precision", precision, {"f32", "bf16"}, "On the processor: f32, or bf16 for "
                 "the products of " + of_what + ", sums in f32");
}

bool some_round(Classifier& model) {
  bool any = false;
  each_module(model, [&](const std::string&, Module& m) {
    auto* conv = dynamic_cast<Conv2d*>(&m);
    any |= conv && rounds(*conv);
  });
  return any;
}

void settle_trunk_precision(const std::string& precision, const Place& where, bool some,
                            const std::string& plan) {
  if (precision != "bf16") return allow_bf16(false);
  const std::string why = why_it_has_none(where, some, plan);
  allow_bf16(why.empty());
  if (!why.empty()) say("notice: --trunk-precision bf16 has no effect: " + why);
  else if (cpu::bf16_products() == Bf16Products::emulated)
    say("notice: --trunk-precision bf16: this processor has no units for it (avx512_bf16, amx); its "
        "products are emulated, and slower than f32");
}

void settle_trunk_precision(const std::string& precision, const Place& where, Adopted& adopted) {
  const std::string plan = adopted.file.freeze_plan.empty() ? "trunk" : adopted.file.freeze_plan;
  if (precision == "bf16") freeze(*adopted.model, plan);
  settle_trunk_precision(precision, where, some_round(*adopted.model), printable(plan));
}

}  // namespace graft::app
