// Each call to the simulated CUDA runtime fails once, in a step of training: it ends as an exception,
// nothing leaks, and where the device still works the next step is as if nothing had been.
#ifdef GRAFT_CUSIM
#include "models/chain.h"
#include "models/zoo.h"
#include "tests/cusim/driver_sim.h"
#include "tests/cusim/runtime_sim.h"
#include "tests/device.h"
#include "tests/layer_helpers.h"

namespace graft::tests {
namespace {

namespace sim = cuda::sim;

std::unique_ptr<Classifier> resnet() {
  auto model = make_model("resnet10_small", 4, 1);
  model->place(Device::cuda);
  freeze(*model, "until:layer4");
  return model;
}

// All of it learns.
std::unique_ptr<Classifier> smallest() {
  Sequential trunk, head;
  trunk.add(Conv2d(3, 4, {.kernel = 4, .stride = 4})).add(BatchNorm2d(4)).add(relu_layer());
  head.add(Linear(4, 4));
  auto model = std::make_unique<Chain>(Chain::Part{"trunk", std::move(trunk)},
                                       Chain::Part{"head", std::move(head)});
  initialize(*model, 1);
  model->place(Device::cuda);
  return model;
}

class DeviceFaults : public DeviceTest {
 protected:
  void TearDown() override { sim::reset(); }  // which refuses blocks that were never released

  // -> the loss before the step
  static float step(Classifier& model, Optimizer& optimizer) {
    Tensor x = normal({2, 8, 8, 3}, 1).to(Device::cuda);
    model.train();
    optimizer.zero_grad();
    Tensor loss = cross_entropy(model(x), labels_of(2, 4).to(Device::cuda));
    loss.backward();
    optimizer.step(0.01);
    return loss.item();
  }

  static size_t live() {
    cuda::synchronize_device();
    return cuda::device_memory().live;
  }
};

struct Failing {
  const char* name;
  std::unique_ptr<Classifier> (*network)();
  bool every_call;  // else twelve of them
};

class DeviceFaultsOfAStep : public DeviceFaults, public testing::WithParamInterface<Failing> {};

TEST_P(DeviceFaultsOfAStep, OneFailureIsAnExceptionAndLeaksNothing) {
  auto reference = GetParam().network();
  Optimizer optimizer(*reference, {});
  sim::inject({});
  step(*reference, optimizer);
  const long calls = sim::calls(), apart = GetParam().every_call ? 1 : std::max(1l, calls / 12);
  ASSERT_GT(calls, 30);
  for (long n = 1; n <= calls; n += apart) {
    auto net = GetParam().network();
    Optimizer again(*net, {});
    const size_t before = live();
    sim::inject({.fail_at = n});
    bool failed = false;
    try {
      step(*net, again);
    } catch (const cuda::DeviceError& e) {
      failed = std::string(e.what()).find("injected") != std::string::npos;
    } catch (const cuda::OutOfMemory&) {
      failed = true;
    }
    EXPECT_TRUE(failed) << "call " << n << " of " << calls;
    sim::inject({});
    again.zero_grad();
    EXPECT_LE(live(), before + (1 << 20)) << "call " << n;  // what is frozen may have been folded
    EXPECT_TRUE(std::isfinite(step(*net, again))) << "call " << n;
  }
}

INSTANTIATE_TEST_SUITE_P(Networks, DeviceFaultsOfAStep,
                         testing::Values(Failing{"every_call", &smallest, true},
                                         Failing{"resnet", &resnet, false}),
                         [](const auto& info) { return info.param.name; });

TEST_F(DeviceFaults, AfterAStickyErrorEverythingIsRefusedAndEndsCleanly) {
  auto net = resnet();
  Optimizer optimizer(*net, {});
  sim::inject({.fail_at = 20, .sticky = true});
  EXPECT_THROW(step(*net, optimizer), cuda::DeviceError);
  EXPECT_THROW(step(*net, optimizer), cuda::DeviceError);
}

TEST_F(DeviceFaults, TooLittleMemoryIsSaid) {
  auto net = resnet();
  Optimizer optimizer(*net, {});
  sim::inject({.budget = live() + 10000});
  EXPECT_THROW(step(*net, optimizer), cuda::OutOfMemory);
}

TEST_F(DeviceFaults, NoDeviceOrAnOldOne) {
  sim::inject({.devices = 0});
  EXPECT_EQ(why_no_cuda(), "no CUDA device or driver was found");
  sim::inject({.major = 7});
  EXPECT_EQ(why_no_cuda(), "cusim has compute capability 7.0, 8.0 is needed");
}

TEST_F(DeviceFaults, CodeForOtherDevicesAlone) {
  sim::inject({.major = 8});
  sim::inject_driver("no kernel image");
  EXPECT_EQ(why_no_cuda(), "this graft was compiled for other devices than cusim, whose compute capability is "
                           "8.0; build it with -DCMAKE_CUDA_ARCHITECTURES=80");
  sim::inject_driver("");
  EXPECT_EQ(why_no_cuda(), "");
}

TEST_F(DeviceFaults, ADriverThatGivesNoDeviceSaysWhy) {
  sim::inject_driver("11.4");
  EXPECT_EQ(why_no_cuda(), "the NVIDIA driver is too old, update it: it is of CUDA 11.4, and 12 is needed");
  sim::inject_driver("unknown error");
  EXPECT_EQ(why_no_cuda(), "the NVIDIA driver does not work, see what nvidia-smi says: unknown error");
  sim::inject_driver("");
  EXPECT_EQ(why_no_cuda(), "");
}

}  // namespace
}  // namespace graft::tests
#endif
