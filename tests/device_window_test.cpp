// Attention in windows, with its tables and buffers, on the CUDA device as on the processor.
#include "layers/init.h"
#include "layers/window_attention.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

namespace graft::tests {
namespace {

struct Run {
  Tensor y;
  TensorMap gradients;
};

template <class Layer>
Run run(Device device, DType dtype) {
  Layer layer(16, 2, 3, /*shifted=*/true);
  initialize(layer, 4);
  move_to(layer, device);
  each_param(layer, [](auto&, Param& p) { p.requires_grad(true); });
  Tensor y = layer(normal({2, 5, 7, 16}, 3).to(device).to(dtype));
  sum(mul(y, y)).backward();
  Run result{y.to(Device::cpu).to(DType::f32), {}};
  each_param(layer, [&](auto& path, Param& p) { result.gradients[path] = p.grad().to(Device::cpu); });
  return result;
}

void expect_near(const Tensor& got, const Tensor& want, double tolerance, const std::string& what) {
  double top = 1e-3;
  for (int64_t i = 0; i < want.size(); ++i) top = std::max(top, double(std::abs(want.data()[i])));
  for (int64_t i = 0; i < want.size(); ++i)
    ASSERT_NEAR(got.data()[i], want.data()[i], tolerance * top) << what << ", element " << i;
}

template <class Layer>
void compare(DType dtype, double tolerance) {
  const Run there = run<Layer>(Device::cuda, dtype), here = run<Layer>(Device::cpu, DType::f32);
  expect_near(there.y, here.y, tolerance, "result");
  for (auto& [path, gradient] : here.gradients)
    expect_near(there.gradients.at(path), gradient, 4 * tolerance, path);
}

class DeviceWindows : public DeviceTest {};

TEST_F(DeviceWindows, OfTheFirstKind) {
  compare<WindowAttentionV1>(DType::f32, 1e-5);
  compare<WindowAttentionV1>(DType::bf16, 0.03);
}

TEST_F(DeviceWindows, OfTheSecondKind) {
  compare<WindowAttentionV2>(DType::f32, 1e-5);
  compare<WindowAttentionV2>(DType::bf16, 0.03);
}

}  // namespace
}  // namespace graft::tests
