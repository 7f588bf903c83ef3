#include "io/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "core/check.h"
#include "io/resize_passes.h"

namespace graft {
namespace {

// Half the width of the filter where nothing is reduced.
double support(Interpolation interpolation) {
  return interpolation == Interpolation::bicubic ? 2 : 1;
}

// x >= 0. The cubic is Keys' (1981) with a = -1/2.
double filter(Interpolation interpolation, double x) {
  if (interpolation == Interpolation::bilinear) return std::max(1.0 - x, 0.0);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * -0.5 : 0;
}

}  // namespace

const char* name_of(Interpolation interpolation) {
  return interpolation == Interpolation::bicubic ? "bicubic" : "bilinear";
}

std::optional<Interpolation> interpolation_named(std::string_view name) {
  for (Interpolation i : {Interpolation::bilinear, Interpolation::bicubic})
    if (name == name_of(i)) return i;
  return std::nullopt;
}

// Pillow, src/libImaging/Resample.c, defines these numbers: centre and support in double
// precision, borders rounded by adding 0.5 and cutting, weights normalised, then 22-bit integers.
ResizeTaps::ResizeTaps(int in, int out, int from, int to, Interpolation interpolation) {
  const double scale = double(in) / out;
  const double widen = std::max(scale, 1.0), reach = support(interpolation) * widen;
  const int longest = int(std::ceil(reach)) * 2 + 1;
  stride = (longest + 3) / 4 * 4;
  begin = in;
  std::vector<double> exact(size_t(longest), 0.0);
  weight.assign(size_t(to - from) * size_t(stride), 0);
  for (int i = from; i < to; ++i) {
    const double centre = (i + 0.5) * scale;
    const int low = std::max(int(centre - reach + 0.5), 0);
    const int high = std::min(int(centre + reach + 0.5), in);
    double sum = 0;
    for (int k = low; k < high; ++k) {
      double distance = std::abs((k - centre + 0.5) * (1.0 / widen));
      sum += exact[size_t(k - low)] = filter(interpolation, distance);
    }
    int32_t* row = &weight[size_t(i - from) * size_t(stride)];
    for (int k = low; k < high; ++k) {
      double share = sum != 0 ? exact[size_t(k - low)] / sum : 0;
      row[k - low] = int32_t((share < 0 ? -0.5 : 0.5) + share * (1 << 22));
    }
    first.push_back(low);
    count.push_back(high - low);
    begin = std::min(begin, low);
    end = std::max(end, high);
  }
}

Resize::Resize(int width, int height, int out_width, int out_height, const Box& window,
               Interpolation interpolation)
    : columns_(width, out_width, window.x0, window.x1, interpolation),
      rows_(height, out_height, window.y0, window.y1, interpolation) {}

void Resize::run(const ImageView& view, uint8_t* out, int64_t out_stride) const {
  const Box box = source();
  GRAFT_CHECK(box.x0 >= view.x && box.y0 >= view.y && box.x1 <= view.x + view.width &&
                  box.y1 <= view.y + view.height,
              "resize: the view [{}+{}, {}+{}] does not cover the source", view.x, view.width,
              view.y, view.height);
  const int out_bytes = int(columns_.first.size()) * 3;
  const int64_t stride = (out_bytes + resize_slack + 31) / 32 * 32;
  const int64_t padded_height = (box.height() + 3) / 4 * 4;
  auto narrow = std::make_unique_for_overwrite<uint8_t[]>(size_t(stride * padded_height));

  // Vector loads reach a little behind a row: its last rows are read from a copy with room.
  const int64_t row_bytes = int64_t(box.width()) * 3;
  auto copies = std::make_unique<uint8_t[]>(size_t(row_bytes + resize_slack) * 4);
  const uint8_t* view_end = view.rgb + (view.height - 1) * view.stride + int64_t(view.width) * 3;
  for (int y = 0; y < box.height(); y += 4) {
    const uint8_t* rows[4];
    uint8_t* outs[4];
    for (int k = 0; k < 4; ++k) {
      int line = std::min(y + k, box.height() - 1);  // the last rows are made again, into padding
      rows[k] = view.rgb + (box.y0 - view.y + line) * view.stride + int64_t(box.x0 - view.x) * 3;
      outs[k] = narrow.get() + (y + k) * stride;
      if (view_end - rows[k] < row_bytes + resize_slack) {
        uint8_t* copy = copies.get() + (row_bytes + resize_slack) * k;
        std::memcpy(copy, rows[k], size_t(row_bytes));
        rows[k] = copy;
      }
    }
    column_pass(columns_, rows, outs);
  }
  for (size_t i = 0; i < rows_.first.size(); ++i) {
    row_pass(narrow.get() + (rows_.first[i] - box.y0) * stride, stride, rows_.count[i],
             &rows_.weight[i * size_t(rows_.stride)], out + int64_t(i) * out_stride, out_bytes);
  }
}

}  // namespace graft
