// Antialiased resizing, byte for byte as PIL does it: a triangle, or a cubic filter, that widens
// with the reduction, columns first, then rows, each pass rounded to 8 bits, weights of 22 bits.
// Only a window of the result is computed, and only what it needs of the source is read.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "io/image.h"

namespace graft {

enum class Interpolation { bilinear, bicubic };
const char* name_of(Interpolation interpolation);
std::optional<Interpolation> interpolation_named(std::string_view name);

// The weights along one side: result position i is the weighted sum of source positions
// first[i] .. first[i] + count[i] - 1; its weights begin at weight[i * stride].
struct ResizeTaps {
  std::vector<int> first, count;
  std::vector<int32_t> weight;  // times 2^22; each row is padded with zeros
  int stride = 0;               // a multiple of 4
  int begin = 0, end = 0;       // of the source positions in use

  // Positions [from, to) of `out`, when `in` positions are resized to `out`.
  ResizeTaps(int in, int out, int from, int to, Interpolation interpolation);
};

class Resize {
 public:
  // A picture of width x height becomes out_width x out_height, of which `window` is wanted.
  Resize(int width, int height, int out_width, int out_height, const Box& window,
         Interpolation interpolation = Interpolation::bilinear);

  Box source() const { return {columns_.begin, rows_.begin, columns_.end, rows_.end}; }
  // `view` must cover source(). Writes the window to `out`, whose rows are out_stride bytes apart.
  void run(const ImageView& view, uint8_t* out, int64_t out_stride) const;

 private:
  ResizeTaps columns_, rows_;
};

}  // namespace graft
