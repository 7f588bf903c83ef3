// Two images in one, normalised: a pixel is the sum of two entries of tables that hold the
// normalised values times the shares already. Threads take rows. Its speed has not been measured
// apart.
#include "kernels/mix.h"

#include "kernels/parallel.h"

namespace graft::cpu {
namespace {

// The products are rounded here, whatever the compiler makes of the sums.
PixelTable scaled(PixelTable table, float factor) {
  for (auto& channel : table.of)
    for (float& value : channel) value *= factor;
  return table;
}

}  // namespace

void normalize_mixed(const Normalization& n, const MixProblem& p, const uint8_t* pixels, float* y) {
  const PixelTable table = pixel_table(n);
  const PixelTable own = scaled(table, *p.share), partner = scaled(table, 1 - *p.share);
  const int64_t bytes = 3 * int64_t(p.width);  // of a row
  auto mix_row = [&](int64_t line) {
    const int64_t image = line / p.height, row = line % p.height;
    const uint8_t* a = pixels + line * bytes;
    const uint8_t* b = pixels + (p.partners[image] * p.height + row) * bytes;
    float* to = y + line * bytes;
    const bool crosses = row >= p.box[1] && row < p.box[3];
    for (int x = 0; x < p.width; ++x) {
      const bool inside = crosses && x >= p.box[0] && x < p.box[2];
      for (int c = 0; c < 3; ++c) {
        const int at = 3 * x + (n.bgr ? 2 - c : c);
        to[3 * x + c] = own.of[c][inside ? b[at] : a[at]] + partner.of[c][b[at]];
      }
    }
  };
  parallel_for(p.images * p.height, 4096 / (p.width + 1) + 1, [&](int64_t begin, int64_t end) {
    for (int64_t line = begin; line < end; ++line) mix_row(line);
  });
}

}  // namespace graft::cpu
