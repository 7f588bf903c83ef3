// What --kernels auto measured, from run to run: each device and version finds its own times again, and
// a file that cannot be used costs one line.
#include "apps/kernel_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "apps/command.h"
#include "core/device.h"

namespace graft::app {

namespace {

namespace fs = std::filesystem;

const KernelSetting kHere{"1.0", "GPU A", {"0123456789abcdef", "cuBLASLt 1, cuDNN 2", "CUDA 13.0"}};

std::vector<KernelSetting> others() {
  std::vector<KernelSetting> all(5, kHere);
  all[0].device = "GPU B";
  all[1].graft = "1.1";
  all[2].versions.own = "fedcba9876543210";
  all[3].versions.libraries = "cuBLASLt 1, cuDNN 3";
  all[4].versions.driver = "CUDA 13.1";
  return all;
}

class KernelFile : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / ("graft_kernel_file." + std::to_string(::getpid()));
    fs::remove_all(folder_);
    setenv("GRAFT_CACHE", folder_.c_str(), 1);
    testing::internal::CaptureStderr();
  }
  void TearDown() override {
    EXPECT_EQ(testing::internal::GetCapturedStderr(), "");  // what nobody expected
    unsetenv("GRAFT_CACHE");
    fs::remove_all(folder_);
  }
  void put(const std::string& text) const {
    fs::create_directories(folder_);
    std::ofstream(folder_ / "kernels.json") << text;
  }
  std::string text() const {
    std::stringstream all;
    all << std::ifstream(folder_ / "kernels.json").rdbuf();
    return all.str();
  }
  // On stderr since this was last asked.
  static std::string said() {
    const std::string text = testing::internal::GetCapturedStderr();
    testing::internal::CaptureStderr();
    return text;
  }
  // One line, and nothing is known.
  void expect_unused(const std::string& text, const std::string& why) {
    put(text);
    EXPECT_TRUE(read_kernel_file().empty()) << text;
    EXPECT_EQ(said(), "warning: what --kernels auto measured before is not used: kernels.json " + why + "\n") << text;
  }

  fs::path folder_;
};

bool same(const KernelVerdicts& a, const KernelVerdicts& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](auto& x, auto& y) {
    return x.first == y.first && x.second.own == y.second.own && x.second.vendor == y.second.vendor;
  });
}

TEST_F(KernelFile, NothingAtFirst) {
  EXPECT_TRUE(read_kernel_file().empty());
}

TEST_F(KernelFile, WhatWasWrittenIsRead) {
  const KernelVerdicts times{{"gemm m1", {3, 2.5}},
                             {"conv2d", {0.125, 1e6}},
                             {"gemm m2", {7, std::numeric_limits<double>::infinity()}}};
  write_verdicts(kHere, times);
  EXPECT_TRUE(same(verdicts_for(read_kernel_file(), kHere), times));
}

TEST_F(KernelFile, ADeviceAndAVersionHaveTheirOwnTimes) {
  write_verdicts(kHere, {{"gemm m1", {3, 2}}});
  for (const KernelSetting& other : others())
    EXPECT_TRUE(verdicts_for(read_kernel_file(), other).empty()) << text();
  for (const KernelSetting& other : others()) write_verdicts(other, {{"gemm m1", {5, 7}}});
  EXPECT_EQ(verdicts_for(read_kernel_file(), kHere).at("gemm m1").own, 3) << text();
  for (const KernelSetting& other : others())
    EXPECT_EQ(verdicts_for(read_kernel_file(), other).at("gemm m1").own, 5) << text();
}

TEST_F(KernelFile, WhatAnotherProgramMeasuredMeanwhileStays) {
  write_verdicts(kHere, {{"gemm m1", {3, 2}}, {"gemm m2", {4, 4}}});
  write_verdicts(kHere, {{"gemm m2", {5, 5}}, {"gemm m3", {6, 6}}});
  EXPECT_EQ(read_kernel_file().size(), 1u);
  EXPECT_TRUE(same(verdicts_for(read_kernel_file(), kHere),
                   {{"gemm m1", {3, 2}}, {"gemm m2", {5, 5}}, {"gemm m3", {6, 6}}}));
}

TEST_F(KernelFile, TheOldestSectionsGo) {
  KernelSetting setting = kHere;
  for (size_t i = 0; i <= kMostSections; ++i) {
    setting.versions.own = std::to_string(i);
    write_verdicts(setting, {{"gemm m1", {double(i), 1}}});
  }
  const KernelSections sections = read_kernel_file();
  ASSERT_EQ(sections.size(), kMostSections);
  EXPECT_EQ(sections.front().setting, setting);
  EXPECT_EQ(sections.back().setting.versions.own, "1");
}

TEST_F(KernelFile, ADamagedFileIsSaidAndReplaced) {
  write_verdicts(kHere, {{"gemm m1", {3, 2}}});
  const std::string whole = text();
  auto with = [&](const std::string& from, const std::string& to) {
    std::string other = whole;
    return other.replace(other.find(from), from.size(), to);
  };
  for (const std::string& damaged : {std::string(), std::string("[]"), whole.substr(0, whole.size() / 2)})
    expect_unused(damaged, "is damaged");
  for (auto [from, to] : {std::pair(R"("own_us": 3.0)", R"("own_us": "fast")"),
                          {R"("own_us")", R"("its_us")"},
                          {R"("driver")", R"("river")"},
                          {R"("GPU A")", "1"},
                          {R"("kernels": {)", R"("kernels": 1, "others": {)"},
                          {R"("measured": [)", R"("measured": 1, "others": [)"}})
    expect_unused(with(from, to), "is damaged");
  write_verdicts(kHere, {{"gemm m1", {3, 2}}});
  EXPECT_EQ(text(), whole);
}

TEST_F(KernelFile, AnotherFormatIsSaid) {
  expect_unused(R"({"graft": "0.1.0", "device": "GPU A", "libraries": "cuDNN 1", "kernels": {}})",
                "was written by another version of graft");
  expect_unused(R"({"format": 3, "times": []})", "was written by another version of graft");
}

TEST_F(KernelFile, AFolderThatCannotBeWrittenIsSaid) {
  std::ofstream(folder_) << "a file";
  write_verdicts(kHere, {{"gemm m1", {3, 2}}});
  const std::string line = said();
  EXPECT_TRUE(line.starts_with("warning: what --kernels auto measured is not kept: ")) << line;
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  fs::remove(folder_);
}

TEST_F(KernelFile, TheSettingIsThatOfThisProgram) {
  const KernelSetting setting = kernel_setting("GPU A");
  EXPECT_EQ(setting.device, "GPU A");
  EXPECT_EQ(setting.graft, GRAFT_VERSION);
  EXPECT_EQ(setting.versions, kernel_versions());
  if (!built_with_cuda()) return;
  EXPECT_FALSE(setting.versions.own.empty());
  EXPECT_TRUE(setting.versions.driver.starts_with("CUDA ")) << setting.versions.driver;
}

}  // namespace
}  // namespace graft::app
