// Draws the photographs of graft demo: a thing in some pose, colour and light before some
// background, with the noise of a camera. A picture is a pure function of (subject, seed, index,
// side); the size changes nothing but the size and the noise.
#pragma once
#include <cstdint>
#include <filesystem>

#include "apps/draw_parts.h"
#include "io/image.h"

namespace graft::app {

Image draw(const Subject& subject, uint64_t seed, uint64_t index, int side);  // side: pixels

void write_bmp(const std::filesystem::path& path, const Image& image);

// Four pictures of each subject side by side, three subjects to a row.
Image contact_sheet(std::span<const Subject> subjects, uint64_t seed, int side);

}  // namespace graft::app
