// Activations that other kernels can fuse into their last step.
#pragma once

namespace graft {

enum class Activation { none, relu, relu6, sigmoid, silu, gelu, hardswish, hardsigmoid };

constexpr const char* name_of(Activation a) {
  switch (a) {
    case Activation::none: return "none";
    case Activation::relu: return "relu";
    case Activation::relu6: return "relu6";
    case Activation::sigmoid: return "sigmoid";
    case Activation::silu: return "silu";
    case Activation::gelu: return "gelu";
    case Activation::hardswish: return "hardswish";
    case Activation::hardsigmoid: return "hardsigmoid";
  }
  return "?";
}

// True where the gradient can be computed from the output alone, so the input need not be kept.
constexpr bool gradient_from_output(Activation a) {
  return a == Activation::none || a == Activation::relu || a == Activation::relu6 ||
         a == Activation::sigmoid || a == Activation::hardsigmoid;
}

}  // namespace graft
