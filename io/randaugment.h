// RandAugment (Cubuk et al., NeurIPS 2020): some changes in a row, each one of fourteen, all of one
// strength: torchvision's set, its ranges and, on 8-bit RGB, the pixels that PIL makes (geometry by
// the nearest pixel, black outside).
#pragma once
#include <cstdint>

#include "core/random.h"

namespace graft {

constexpr int kRandStrengths = 30;  // 0: hardly anything, or (posterise, solarise) nothing

struct RandAugment {
  int changes = 2;
  int strength = 9;
};

enum class RandChange {
  identity, shear_x, shear_y, translate_x, translate_y, rotate, brightness, colour, contrast,
  sharpness, posterise, solarise, autocontrast, equalise
};
constexpr int kRandChanges = 14;

// How far a strength goes on a picture of this side, as torchvision's magnitudes: a shear, pixels,
// degrees, a factor away from 1, bits, a threshold. 0 for those that have none.
double rand_amount(RandChange change, int strength, int side);

// One change; the amount may be negative where its direction is free.
void apply_change(RandChange change, double amount, uint8_t* rgb, int side);

void rand_augment(const RandAugment& spec, Random& random, uint8_t* rgb, int side);

}  // namespace graft
