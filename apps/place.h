// --device, --precision and --kernels: where a model computes, how exactly, and by whose kernels.
#pragma once
#include "apps/command.h"
#include "models/classifier.h"

namespace graft::app {

struct PlaceOptions {
  std::string precision = "auto", kernels = "own";
};
void add_place(Command& command, PlaceOptions& options);

// What a command computes on and with, "auto" resolved. What --kernels auto measures while one
// lives is kept for the next program.
class Place {
 public:
  Place();
  // Throws Fault::unavailable where --device cuda cannot be had; --device auto then says why, once,
  // and takes the processor, where all is f32.
  Place(const Common& common, const PlaceOptions& options);
  ~Place();
  Place(Place&&);
  Place& operator=(Place&&);

  void bring(Classifier& model) const;
  // Throws Fault::usage where `images`, most of a batch with --batch, are more than a CUDA device
  // takes at a time, whatever its memory.
  void check_batch(Classifier& model, int64_t batch, int64_t images) const;

  Device device = Device::cpu;
  std::string precision = "f32";  // f32, tf32, bf16 or f16

 private:
  struct Measuring;
  std::unique_ptr<Measuring> measuring_;
};

}  // namespace graft::app
