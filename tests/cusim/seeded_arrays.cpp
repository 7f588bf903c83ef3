// The smallest program that runs the kernels of flat arrays and of columns, for seeded.sh: sums,
// optimiser steps, dropout, and rows of a table by their numbers. Small integers and exact results,
// but for AdamW. Argument: forward, reverse or random. Prints PASS, or what is wrong.
#include "tests/cusim/seeded_f32.h"
#include "kernels/cuda/dropout.cu"
#include "kernels/cuda/lookup.cu"
#include "kernels/cuda/optimizer.cu"
#include "kernels/cuda/reduce.cu"
#include "tests/cusim/seeded.h"

using namespace graft;
using namespace graft::cuda;
using cusim::same;

namespace {

using Floats = cusim::Guarded<float>;

float value(size_t i, size_t seed) { return float(i * seed % 7) - 3; }

void fill_in(Floats& x, size_t seed) {
  for (size_t i = 0; i < x.size(); ++i) x[i] = value(i, seed);
}

bool sums(size_t n, size_t offset) {
  Floats a(n, offset), b(n, offset);
  cusim::Guarded<double> total(1), product(1);
  fill_in(a, 5), fill_in(b, 3);
  sum(int64_t(n), a.data(), total.data(), {});
  dot(int64_t(n), a.data(), b.data(), product.data(), {});
  synchronize(Stream{});
  double added = 0, multiplied = 0;
  for (size_t i = 0; i < n; ++i) added += double(a[i]), multiplied += double(a[i] * b[i]);
  return same("sum", total, [&](size_t) { return added; }) &&
         same("dot", product, [&](size_t) { return multiplied; });
}

bool columns(size_t images, size_t rows, size_t channels) {
  Floats a(images * rows * channels), b(a.size()), y(images * channels);
  fill_in(a, 5), fill_in(b, 3);
  dot_images(int64_t(images), int64_t(rows), int64_t(channels), a.data(), b.data(), y.data(), {});
  synchronize(Stream{});
  return same("columns", y, [&](size_t i) {
    float sum = 0;
    for (size_t row = 0; row < rows; ++row) {
      const size_t at = (i / channels * rows + row) * channels + i % channels;
      sum += a[at] * b[at];
    }
    return sum;
  });
}

// Two steps by the scale of the gradients, and one that is not to be: there a gradient is infinite.
bool sgd_steps(size_t n, size_t offset) {
  Floats grad(n, offset), param(n, offset), momentum(n, offset);
  cusim::Guarded<GradientLimits> limits(1);
  cusim::Guarded<GradientScale> scale(1);
  cusim::Guarded<SgdStep> step(1);
  limits[0] = {.inverse_loss_scale = 0.5f, .clip_norm = 0};
  fill_in(param, 5);
  for (int i = 0; i < 3; ++i) {
    fill_in(grad, 3);
    if (i == 2) grad[n - 1] = INFINITY;
    step[0] = {.lr = 0.25f, .momentum = 0.5f, .first_step = i == 0};
    gradient_scale(int64_t(n), grad.data(), limits.data(), scale.data(), {});
    sgd(step.data(), int64_t(n), grad.data(), scale.data(), param.data(), momentum.data(),
        static_cast<bf16*>(nullptr), {});
    synchronize(Stream{});
  }
  auto gradient = [](size_t i) { return 0.5f * value(i, 3); };
  return same("momentum", momentum, [&](size_t i) { return 1.5f * gradient(i); }) &&
         same("sgd", param, [&](size_t i) { return value(i, 5) - 0.625f * gradient(i); });
}

bool adamw_step(size_t n) {
  Floats grad(n), param(n), m(n), v(n);
  cusim::Guarded<AdamWFactors> step(1);
  step[0] = factors_of(
      {.lr = 0.5f, .beta1 = 0.5f, .beta2 = 0.75f, .weight_decay = 0.5f, .step = 2});
  fill_in(grad, 3), fill_in(param, 5), fill_in(m, 2);
  for (size_t i = 0; i < n; ++i) v[i] = float(i % 3) + 1;
  adamw(step.data(), int64_t(n), grad.data(), nullptr, param.data(), m.data(), v.data(),
        static_cast<bf16*>(nullptr), {});
  synchronize(Stream{});
  auto first = [](size_t i) { return 0.5 * double(value(i, 2) + value(i, 3)); };
  auto second = [](size_t i) { return 0.75 * double(i % 3 + 1) + 0.25 * std::pow(value(i, 3), 2); };
  return same("m", m, first) && same("v", v, second) && same("adamw", param, [&](size_t i) {
           const double root = std::sqrt(second(i) / (1 - std::pow(0.75, 2)));
           return 0.75 * double(value(i, 5)) - 0.5 / (1 - std::pow(0.5, 2)) * first(i) / root;
         }, 1e-6);
}

bool dropped(size_t n, size_t offset) {
  Floats x(n, offset), y(n, offset);
  cusim::Guarded<int64_t> index(1);
  index[0] = 5;
  fill_in(x, 3);
  const DropoutMask mask{0.5f, {1, 2}, index.data()};
  dropout(mask, int64_t(n), x.data(), y.data(), {});
  synchronize(Stream{});
  return same("dropout", y, [&](size_t i) {
    const size_t block = i / 64 * 16 + i % 16;
    return philox(block, 5, mask).word[i % 64 / 16] < 1u << 31 ? 0 : 2 * x[i];
  });
}

bool looked_up(size_t rows, size_t columns, size_t count) {
  Floats table(rows * columns), y(columns * count), dy(y.size()), dtable(table.size());
  cusim::Guarded<int64_t> index(count);
  fill_in(table, 5), fill_in(dy, 3);
  for (size_t i = 0; i < count; ++i) index[i] = int64_t(i * i % (rows + 2)) - 1;  // two are none
  const LookupProblem p{int64_t(rows), int64_t(columns), int64_t(count)};
  lookup(p, table.data(), index.data(), y.data(), {});
  lookup_gradient(p, dy.data(), index.data(), dtable.data(), {});
  synchronize(Stream{});
  auto known = [&](size_t i) { return index[i] >= 0 && index[i] < p.rows; };
  return same("lookup", y, [&](size_t i) {
           const size_t at = i % count, row = size_t(index[at]);
           return known(at) ? table[row * columns + i / count] : NAN;
         }) &&
         same("lookup's gradient", dtable, [&](size_t i) {
           float sum = 0;
           for (size_t j = 0; j < count; ++j)
             if (index[j] == int64_t(i / columns)) sum += dy[i % columns * count + j];
           return sum;
         });
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = columns(1, 1, 1) && columns(2, 300, 36) && columns(3, 65, 37) && adamw_step(1027) &&
              looked_up(9, 33, 70);
  for (size_t n : {1, 1023, 1025, 4 * 1024 + 3})  // a block's sums, and one more; two blocks
    for (size_t offset : {0, 1})
      good = good && sums(n, offset) && sgd_steps(n, offset) && dropped(n, offset);
  if (good) std::puts("PASS");
  return !good;
}
