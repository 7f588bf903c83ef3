// Free memory, read from files as Linux writes them: of the machine, and of control groups, whose
// limits a container sets.
#include "apps/free_memory.h"

#include <gtest/gtest.h>

#include "tests/io_scratch.h"

namespace graft::test {
namespace {

constexpr int64_t kMiB = 1 << 20;

class FreeMemory : public testing::Test {
 protected:
  void write(const std::string& path, const std::string& text) {
    fs::create_directories((root_ / path).parent_path());
    spill(root_ / path, text);
  }
  void machine(int64_t mb) {
    write("proc/meminfo", "MemTotal:       65536000 kB\nMemAvailable:   " +
                              std::to_string(mb * 1024) + " kB\n");
  }
  void group2(const std::string& path, const std::string& limit, int64_t used_mb, int64_t files_mb) {
    const std::string at = "sys/fs/cgroup" + path;
    write(at + "/memory.max", limit + "\n");
    write(at + "/memory.current", std::to_string(used_mb * kMiB) + "\n");
    write(at + "/memory.stat", "anon 1\nfile 2\ninactive_file " + std::to_string(files_mb * kMiB) +
                                   "\nactive_file 0\n");
  }
  int64_t left() { return app::free_memory_mb(root_.path()); }
  Scratch root_;
};

std::string mb(int64_t count) { return std::to_string(count * kMiB); }

TEST_F(FreeMemory, OfTheMachineAlone) {
  machine(9000);
  EXPECT_EQ(left(), 9000);
}

TEST_F(FreeMemory, UnknownIsNoLimit) { EXPECT_EQ(left(), INT64_MAX >> 20); }

TEST_F(FreeMemory, AContainerHasLess) {
  machine(9000);
  write("proc/self/cgroup", "0::/\n");
  group2("", mb(2000), 700, 300);
  EXPECT_EQ(left(), 1600);
}

TEST_F(FreeMemory, AContainerOfMoreThanTheMachine) {
  machine(1000);
  write("proc/self/cgroup", "0::/\n");
  group2("", mb(2000), 700, 300);
  EXPECT_EQ(left(), 1000);
}

TEST_F(FreeMemory, TheTightestGroupOnTheWayUp) {
  machine(9000);
  write("proc/self/cgroup", "0::/user/one\n");
  group2("/user", mb(3000), 2500, 100);
  group2("/user/one", "max", 500, 0);
  EXPECT_EQ(left(), 600);
}

TEST_F(FreeMemory, MoreUsedThanAllowedIsNothing) {
  write("proc/self/cgroup", "0::/\n");
  group2("", mb(2000), 2100, 0);
  EXPECT_EQ(left(), 0);
}

TEST_F(FreeMemory, VersionOneWithTheHostsPath) {
  machine(9000);
  write("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory:/docker/0123\n0::/\n");
  const std::string at = "sys/fs/cgroup/memory/";
  write(at + "memory.limit_in_bytes", mb(4000) + "\n");
  write(at + "memory.usage_in_bytes", mb(1500) + "\n");
  write(at + "memory.stat", "cache 1\ninactive_file 5\ntotal_inactive_file " + mb(200) +
                                "\ntotal_active_file " + mb(300) + "\n");
  EXPECT_EQ(left(), 3000);
}

TEST_F(FreeMemory, VersionOneUnlimited) {
  machine(9000);
  write("proc/self/cgroup", "4:memory:/\n");
  const std::string at = "sys/fs/cgroup/memory/";
  write(at + "memory.limit_in_bytes", "9223372036854771712\n");
  write(at + "memory.usage_in_bytes", mb(1500) + "\n");
  EXPECT_EQ(left(), 9000);
}

TEST_F(FreeMemory, LinesThatAreNone) {
  machine(9000);
  write("proc/self/cgroup", "nonsense\n\n:\n0::\n");
  EXPECT_EQ(left(), 9000);
}

}  // namespace
}  // namespace graft::test
