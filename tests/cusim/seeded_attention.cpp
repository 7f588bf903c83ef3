// The smallest program that runs attention and its gradients, for seeded.sh: guarded arrays,
// results within a bound of the formulas, no bank conflicts. Argument: forward, reverse or random.
// Prints PASS, or what is wrong.
#include "tests/cuda_attention_reference.h"

#include <cstdio>

#include "kernels/cuda/pack.cuh"
#include "tests/cusim/guarded.h"
#include "tests/cusim/seeded.h"

#undef GRAFT_FOR_FLOATS
#define GRAFT_FOR_FLOATS(X) X(bf16)  // one type is enough here, and compiles in a third of the time
#include "kernels/cuda/attention_backward_bf16.cu"
#include "kernels/cuda/attention_bf16.cu"
#include "kernels/cuda/reduce.cu"

using namespace graft;
using namespace graft::cuda;

namespace {

template <class T>
std::vector<double> fill(cusim::Guarded<T>& values, int seed) {
  std::vector<double> same;
  for (size_t i = 0; i < values.size(); ++i) {
    same.push_back(double(int(i) * seed % 13 - 6) / 4);
    values[i] = T(float(same.back()));
  }
  return same;
}

template <class T>
bool right(const char* name, const cusim::Guarded<T>& got, const std::vector<double>& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double value = double(float(got[i])), error = std::fabs(value - want[i]);
    if (error <= 0.03 * std::max(1.0, std::fabs(want[i]))) continue;
    std::printf("FAIL %s element %zu: %g, expected %g\n", name, i, value, want[i]);
    return false;
  }
  if (!got.intact()) std::printf("FAIL %s: written beside it\n", name);
  return got.intact();
}

bool run(const AttentionShape& s) {
  cusim::Guarded<bf16> qkv(s.qkv_size()), dy(s.y_size()), y(s.y_size()), dqkv(s.qkv_size());
  cusim::Guarded<float> bias(s.squares(s.heads)), mask(s.squares(s.masks));
  cusim::Guarded<float> dbias(s.squares(s.heads));
  const auto x = fill(qkv, 5), dout = fill(dy, 11), masked = fill(mask, 3);
  auto added = fill(bias, 7);
  for (size_t i = 0; i < added.size(); ++i) {  // every tile has scores above those before it
    added[i] += double(int64_t(i) % s.tokens) / 16;
    bias[i] = float(added[i]);
  }
  const AttentionProblem p{s.images, s.tokens,    s.heads,     s.width,
                           0.25f,    bias.data(), mask.data(), s.masks};
  attention(p, qkv.data(), y.data(), {});
  attention_backward<bf16>(p, qkv.data(), dy.data(), {dqkv.data(), dbias.data()}, {});
  synchronize(Stream{});
  const AttentionWant want = attention_reference(s, 0.25, x, dout, added, masked);
  return right("y", y, want.y) && right("dqkv", dqkv, want.dqkv) &&
         right("dbias", dbias, want.dbias);
}

}  // namespace

int main(int count, char** arguments) {
  cusim::take_order(count, arguments);
  bool good = run({2, 67, 1, 40, 2}) && run({6, 9, 2, 32, 3});
  if (good && cusim::stats.bank_conflicts) {
    std::printf("FAIL %llu bank conflicts\n", (unsigned long long)cusim::stats.bank_conflicts);
    good = false;
  }
  if (good) std::puts("PASS");
  return !good;
}
