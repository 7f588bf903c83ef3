// Every row of op_cases.h on the CUDA device against the processor: results and gradients. In f32 they
// differ by rounding; in bf16 and f16 by the bits that activations lose, while parameters stay f32.
#include "core/autograd.h"
#include "tests/device.h"
#include "tests/op_cases.h"

namespace graft::tests {
namespace {

struct Computed {
  Tensor y;
  std::vector<Tensor> gradients;
};

Tensor cast(const Tensor& x, DType dtype) {
  return record("cast", x.to(dtype), {{x, [](const Tensor& dy) { return dy.to(DType::f32); }}});
}

// Of sum(y r), r fixed. `dtype` is the type of activations: of inputs with more than one dimension.
Computed compute(const OpCase& c, Device device, DType dtype) {
  bool second = false;  // is a parameter, which stays f32
  for (const char* op : {"conv2d", "linear", "attention", "cosine"}) second |= c.name.starts_with(op);
  std::vector<Tensor> leaves, inputs;
  for (const Tensor& input : make_inputs(c)) {
    const bool parameter = input.rank() < 2 || (second && inputs.size() == 1);
    leaves.push_back(input.clone(device).requires_grad(true));
    inputs.push_back(parameter || dtype == DType::f32 ? leaves.back() : cast(leaves.back(), dtype));
  }
  Computed result{c.call(inputs), {}};
  Tensor r = make_input({result.y.shape()}, "projection", 0).to(device).to(result.y.dtype());
  sum(mul(result.y, r)).backward();
  for (const Tensor& t : leaves) result.gradients.push_back(t.grad());
  return result;
}

double largest(const Tensor& t) {
  double top = 0;
  for (int64_t i = 0; i < t.size(); ++i) top = std::max(top, double(std::abs(t.data()[i])));
  return top;
}

void expect_near(const Tensor& got, const Tensor& wanted, double tolerance, const std::string& what) {
  ASSERT_EQ(got.device(), Device::cuda) << what;
  ASSERT_EQ(got.shape(), wanted.shape()) << what;
  const Tensor here = got.to(Device::cpu).to(DType::f32), there = wanted.to(DType::f32);
  const double allowed = tolerance * (largest(there) + 1e-2);
  for (int64_t i = 0; i < here.size(); ++i)
    ASSERT_NEAR(here.data()[i], there.data()[i], allowed) << what << ", element " << i;
}

class DeviceOps : public DeviceTest, public testing::WithParamInterface<OpCase> {
 protected:
  void compare(DType dtype, double tolerance) {
    const OpCase& c = GetParam();
    const Computed cpu = compute(c, Device::cpu, DType::f32), device = compute(c, Device::cuda, dtype);
    expect_near(device.y, cpu.y, tolerance, "result");
    for (size_t i = 0; i < cpu.gradients.size(); ++i)
      expect_near(device.gradients[i], cpu.gradients[i], 2 * tolerance, fmt::format("gradient {}", i));
  }

  // A table is of f32; rounding makes ties of maxima, and of two values' deviation anything.
  bool of_f32_alone() const {
    const std::string& name = GetParam().name;
    return name.starts_with("lookup") || name.starts_with("max_pool") || name.ends_with("two_rows");
  }
};

TEST_P(DeviceOps, AsTheProcessorInF32) { compare(DType::f32, 5e-6); }

TEST_P(DeviceOps, AsTheProcessorInBf16) {
  if (!of_f32_alone()) compare(DType::bf16, 0.03);  // 2^-8 for each of a few roundings
}

TEST_P(DeviceOps, AsTheProcessorInF16) {
  if (!of_f32_alone()) compare(DType::f16, 0.004);
}

INSTANTIATE_TEST_SUITE_P(All, DeviceOps, testing::ValuesIn(op_cases()), [](const auto& info) {
  return fmt::format("{}_{}", info.index, info.param.name);
});

}  // namespace
}  // namespace graft::tests
