// Colour jitter on 8-bit RGB: torchvision's ColorJitter, its four changes in a random order.
#pragma once
#include <cstdint>

#include "core/random.h"

namespace graft {

struct ColourStrength {
  float brightness = 0, contrast = 0, saturation = 0, hue = 0;  // 0 leaves it alone
};

// Draws from `random` whatever the strengths, so that one strength does not change another's draw.
void jitter_colours(const ColourStrength& strength, Random& random, uint8_t* rgb, int64_t pixels);

// The single changes. A factor of 1 (a turn of 0) changes nothing.
void change_brightness(float factor, uint8_t* rgb, int64_t pixels);  // towards black
void change_contrast(float factor, uint8_t* rgb, int64_t pixels);    // towards the mean grey
void change_saturation(float factor, uint8_t* rgb, int64_t pixels);  // towards each pixel's grey
void turn_hue(float turn, uint8_t* rgb, int64_t pixels);             // 1 is the whole circle

}  // namespace graft
