// Bytes on their way to the device through pinned memory: they arrive, whatever the sizes and streams,
// and the host does not wait for them.
#ifdef GRAFT_CUSIM
#include "core/staging.h"

#include "core/ops.h"
#include "tests/cusim/runtime_sim.h"
#include "tests/device.h"

namespace graft::tests {
namespace {

namespace sim = cuda::sim;

constexpr int64_t kMegabyte = int64_t(1) << 20;

class DeviceStaging : public DeviceTest {
 protected:
  void TearDown() override { sim::reset(); }

  static std::vector<uint8_t> bytes_of(int64_t size, uint8_t first) {
    std::vector<uint8_t> bytes(static_cast<size_t>(size));
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = uint8_t(first + i + (i >> 8));
    return bytes;
  }

  static Tensor sent(std::vector<uint8_t> bytes) {  // ends before the copy is done
    Tensor there({int64_t(bytes.size())}, DType::u8, Device::cuda);
    copy_staged(there.mutable_address(), bytes.data(), bytes.size());
    return there;
  }

  static bool arrived(const Tensor& there, uint8_t first) {
    const Tensor here = there.to(Device::cpu);
    const std::vector<uint8_t> bytes = bytes_of(there.size(), first);
    return std::equal(bytes.begin(), bytes.end(), here.data<uint8_t>());
  }
};

TEST_F(DeviceStaging, BytesArrive) {
  std::vector<Tensor> there;
  const std::vector<int64_t> sizes{1, 255, 256, 257, 8 * kMegabyte, 8 * kMegabyte + 3, 5 * kMegabyte, 1};
  for (size_t i = 0; i < sizes.size(); ++i) there.push_back(sent(bytes_of(sizes[i], uint8_t(i))));
  for (size_t i = 0; i < sizes.size(); ++i) EXPECT_TRUE(arrived(there[i], uint8_t(i))) << sizes[i];
}

TEST_F(DeviceStaging, MoreThanItHoldsWaitsForItsOwnCopies) {
  std::vector<Tensor> there;
  for (int i = 0; i < 16; ++i) there.push_back(sent(bytes_of(5 * kMegabyte, uint8_t(i))));
  for (int i = 0; i < 16; ++i) EXPECT_TRUE(arrived(there[size_t(i)], uint8_t(i))) << i;
}

TEST_F(DeviceStaging, TheHostGoesOn) {
  sent(bytes_of(1, 0));  // what it needs is made
  cuda::synchronize_device();
  const Tensor a = Tensor::zeros({1000}).to(Device::cuda), b = add(a, a);
  const Tensor there = sent(bytes_of(1000, 5)), c = Tensor::zeros({3}).to(Device::cuda);
  EXPECT_FALSE(sim::idle()) << "somebody waited for the work before";
  EXPECT_TRUE(arrived(there, 5));
}

TEST_F(DeviceStaging, StreamsDoNotShareAChunk) {
  Lane lane;
  std::vector<Tensor> there;
  for (int i = 0; i < 40; ++i) {
    auto send = [&] { there.push_back(sent(bytes_of(3 * kMegabyte / 2, uint8_t(i)))); };
    if (i % 3 == 0) send();
    else lane.run(send);
  }
  lane.join();
  for (int i = 0; i < 40; ++i) EXPECT_TRUE(arrived(there[size_t(i)], uint8_t(i))) << i;
}

TEST_F(DeviceStaging, AFailureIsAnExceptionAndSpoilsNothing) {
  for (long n = 1; n <= 9; ++n) {
    Tensor first, second;
    sim::inject({.fail_at = n});
    try {
      first = sent(bytes_of(9 * kMegabyte, 1));
      second = sent(bytes_of(9 * kMegabyte, 2));
    } catch (const cuda::DeviceError&) {
    } catch (const cuda::OutOfMemory&) {
    }
    sim::inject({});
    const Tensor third = sent(bytes_of(20 * kMegabyte, 3));
    EXPECT_TRUE(!first.defined() || arrived(first, 1)) << "call " << n;
    EXPECT_TRUE(!second.defined() || arrived(second, 2)) << "call " << n;
    EXPECT_TRUE(arrived(third, 3)) << "call " << n;
  }
}

}  // namespace
}  // namespace graft::tests
#endif
