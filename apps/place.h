// --device and --precision: where a model computes, and how exactly.
#pragma once
#include "apps/command.h"
#include "models/classifier.h"

namespace graft::app {

// What a command computes on and with, "auto" resolved.
struct Place {
  Device device = Device::cpu;
  std::string precision = "f32";  // f32, tf32, bf16 or f16
};

void add_precision(CLI::App& command, std::string& precision);

// Throws Fault::unavailable where --device cuda cannot be had; --device auto then says why, once, and
// takes the processor, where all is f32.
Place place_for(const Common& common, const std::string& precision);
void place(Classifier& model, const Place& place);

}  // namespace graft::app
