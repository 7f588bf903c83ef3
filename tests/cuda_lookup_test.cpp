// Rows of a table by their numbers on CUDA, and their gradients: the bits of the processor.
#include "kernels/lookup.h"

#include "tests/cuda_values.h"

namespace graft::cuda {
namespace {

std::vector<int64_t> numbers(size_t count, int64_t rows) {
  std::mt19937 random(3);
  std::vector<int64_t> index(count);
  for (int64_t& i : index) i = int64_t(random() % uint64_t(rows));
  return index;
}

const LookupProblem kProblems[] = {{1, 1, 1},    {5, 3, 6},    {169, 4, 49 * 49}, {7, 32, 31}, {8, 33, 32},
                                   {9, 65, 33}, {1, 40, 300}, {300, 2, 257},     {4, 5, 0},   {17, 1, 64}};

TEST(CudaLookup, RowsTransposed) {
  on_device([] {
    for (const LookupProblem& p : kProblems) {
      const auto index = numbers(size_t(p.count), p.rows);
      const auto table = reals<float>(size_t(p.rows * p.columns), 1, -1, 1);
      std::vector<double> want;
      for (int64_t c = 0; c < p.columns; ++c)
        for (int64_t i : index) want.push_back(table[size_t(i * p.columns + c)]);
      const Array<float> values(table);
      const Array<int64_t> rows(index);
      Array<float> y(want.size());
      lookup(p, values.data(), rows.data(), y.data(), {});
      expect_values(y, want);
    }
  });
}

TEST(CudaLookup, GradientsInTheOrderOfTheNumbers) {
  on_device([] {
    for (const LookupProblem& p : kProblems) {
      const auto index = numbers(size_t(p.count), p.rows);
      const auto dy = reals<float>(size_t(p.count * p.columns), 2, -1, 1);
      std::vector<float> want(size_t(p.rows * p.columns), 0.0f);
      for (int64_t c = 0; c < p.columns; ++c)
        for (int64_t i = 0; i < p.count; ++i)
          want[size_t(index[size_t(i)] * p.columns + c)] += dy[size_t(c * p.count + i)];
      const Array<float> gradients(dy);
      const Array<int64_t> rows(index);
      Array<float> dtable(want.size());
      lookup_gradient(p, gradients.data(), rows.data(), dtable.data(), {});
      EXPECT_EQ(dtable.host(), want);
    }
  });
}

TEST(CudaLookup, NumbersOfNoRow) {
  on_device([] {
    const Array<float> table(std::vector<float>{1, 2}), dy(std::vector<float>{1, 2, 4});
    const Array<int64_t> rows(std::vector<int64_t>{1, -1, 2});
    Array<float> y(3), dtable(2);
    lookup({2, 1, 3}, table.data(), rows.data(), y.data(), {});
    expect_values(y, {2, NAN, NAN});
    lookup_gradient({2, 1, 3}, dy.data(), rows.data(), dtable.data(), {});
    expect_values(dtable, {0, 1});
  });
}

}  // namespace
}  // namespace graft::cuda
