#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cmath>
#include <limits>
#include <set>

#include "io/checkpoint.h"
#include "io/file.h"
#include "tests/io_scratch.h"

// System calls that write, counted; call number `fail_at` fails with `error`, or ends the process.
namespace {
struct {
  long count = 0, fail_at = -1;
  int error = 0;  // 0: _exit, as if the power went
  bool short_writes = false;
} faults;

bool hit() {
  if (faults.count++ != faults.fail_at) return false;
  if (faults.error == 0) _exit(99);
  errno = faults.error;
  return true;
}
}  // namespace

extern "C" {
ssize_t pwrite(int fd, const void* data, size_t n, off_t at) {
  if (hit()) return -1;
  return syscall(SYS_pwrite64, fd, data, faults.short_writes ? (n + 1) / 2 : n, at);
}
int fsync(int fd) { return hit() ? -1 : int(syscall(SYS_fsync, fd)); }
int ftruncate(int fd, off_t n) noexcept { return hit() ? -1 : int(syscall(SYS_ftruncate, fd, n)); }
int rename(const char* a, const char* b) noexcept {
  return hit() ? -1 : int(syscall(SYS_rename, a, b));
}
int link(const char* a, const char* b) noexcept {
  return hit() ? -1 : int(syscall(SYS_link, a, b));
}
}

namespace graft::test {
namespace {

class CheckpointTest : public testing::Test {
 protected:
  void TearDown() override { faults = {}; }
  Scratch dir;
  fs::path path = dir / "checkpoint.h5", before = dir / "checkpoint.previous.h5";
};

Checkpoint numbered(int64_t step) {
  Checkpoint c;
  c.model = small_model(float(step));
  c.optimizer["momentum/fc.weight"] = counted({2, 2}, float(step));
  c.optimizer["step"] = counted({1}, float(-step)).to(DType::i64);
  c.text = {{"options", "--lr 0.1"}, {"fingerprint", ""}};
  c.integers = {{"step", step}, {"seed", std::numeric_limits<int64_t>::min()}};
  c.numbers = {{"best", 0.1 + double(step)}, {"none", std::nan("0x123")}, {"zero", -0.0}};
  c.history = {"{\"epoch\":1}", fmt::format("{{\"epoch\":{}}}", step)};
  return c;
}

void expect_equal(const Checkpoint& a, const Checkpoint& b) {
  expect_same(a.model, b.model);
  EXPECT_TRUE(same(a.optimizer, b.optimizer));
  EXPECT_EQ(a.text, b.text);
  EXPECT_EQ(a.integers, b.integers);
  EXPECT_EQ(a.history, b.history);
  ASSERT_EQ(a.numbers.size(), b.numbers.size());
  for (const auto& [name, value] : a.numbers)
    EXPECT_EQ(std::bit_cast<uint64_t>(value), std::bit_cast<uint64_t>(b.numbers.at(name))) << name;
}

// Readable, and exactly what was written under its step number.
int64_t step_of(const fs::path& path) {
  Checkpoint c = read_checkpoint(path).checkpoint;
  expect_equal(c, numbered(c.integers.at("step")));
  return c.integers.at("step");
}

// The life of a child; no exception may leave it, or it would go on with the tests.
[[noreturn]] void write_and_exit(const fs::path& path, int64_t first, int64_t last) noexcept {
  for (int64_t step = first; step <= last; ++step) write_checkpoint(path, numbered(step));
  _exit(0);
}

TEST_F(CheckpointTest, RoundTripAndTheOneBefore) {
  write_checkpoint(path, numbered(1));
  EXPECT_EQ(dir.files(), 1u);
  for (int64_t step = 2; step < 5; ++step) {
    write_checkpoint(path, numbered(step));
    LoadedCheckpoint loaded = read_checkpoint(path);
    EXPECT_EQ(loaded.notice, "");
    expect_equal(loaded.checkpoint, numbered(step));
    expect_equal(read_checkpoint(before).checkpoint, numbered(step - 1));
    EXPECT_EQ(dir.files(), 2u);
  }
  expect_same(read_model_file(path), numbered(4).model);
}

TEST_F(CheckpointTest, EveryFlippedByteFallsBackWithANotice) {
  write_checkpoint(path, numbered(1));
  write_checkpoint(path, numbered(2));
  const std::string whole = slurp(path);
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = char(bytes[at] ^ (1 << at % 8));
    spill(dir / "alone.h5", bytes);
    error_of([&] { read_checkpoint(dir / "alone.h5"); });
    if (at % 97) continue;
    spill(path, bytes);
    LoadedCheckpoint loaded = read_checkpoint(path);
    EXPECT_NE(loaded.notice.find("previous"), std::string::npos) << loaded.notice;
    EXPECT_EQ(loaded.file, before);
    EXPECT_EQ(loaded.checkpoint.integers.at("step"), 1);
  }
}

TEST_F(CheckpointTest, ADamagedNewestDoesNotPushOutTheGoodOne) {
  write_checkpoint(path, numbered(1));
  write_checkpoint(path, numbered(2));
  spill(path, slurp(path).substr(0, 1000));
  write_checkpoint(path, numbered(3));
  expect_equal(read_checkpoint(before).checkpoint, numbered(1));
  fs::remove(path);
  EXPECT_FALSE(read_checkpoint(path).notice.empty());
  fs::remove(before);
  error_of([&] { read_checkpoint(path); }, Fault::no_input);
}

TEST_F(CheckpointTest, AModelIsNoCheckpoint) {
  write_model_file(path, small_model());
  EXPECT_NE(error_of([&] { read_checkpoint(path); }).find("not a checkpoint"), std::string::npos);
}

TEST_F(CheckpointTest, EveryCallFailingLeavesTheOldOne) {
  for (int error : {ENOSPC, EIO, EDQUOT}) {
    write_checkpoint(path, numbered(1));
    write_checkpoint(path, numbered(2));
    for (long n = 0;; ++n) {
      faults = {0, n, error};
      bool failed = false;
      try {
        write_checkpoint(path, numbered(3));
      } catch (const Error& e) {
        failed = true;
        EXPECT_EQ(int(e.fault), int(Fault::io)) << e.what();
      }
      long calls = faults.count;
      faults = {};
      if (!failed && calls <= n) break;  // no call was left to fail
      int64_t step = step_of(path);
      // Only link has a way around it; only the last sync comes after the rename.
      EXPECT_TRUE(step == 2 || (step == 3 && calls >= n)) << n;
      EXPECT_EQ(dir.files(), 2u) << n;
      write_checkpoint(path, numbered(2));
    }
  }
}

TEST_F(CheckpointTest, ProcessEndsAtEveryCall) {
  std::set<int64_t> seen;
  for (long n = 0;; ++n) {
    write_checkpoint(path, numbered(1));
    write_checkpoint(path, numbered(2));
    pid_t pid = fork();
    if (pid == 0) {
      faults = {0, n, 0};
      write_and_exit(path, 3, 3);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    seen.insert(step_of(path));
    EXPECT_LE(step_of(before), 2);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    ASSERT_EQ(WEXITSTATUS(status), 99);
    remove_leftovers(dir.path());
    EXPECT_EQ(dir.files(), 2u);
  }
  EXPECT_EQ(seen, (std::set<int64_t>{2, 3}));
}

TEST_F(CheckpointTest, ShortWritesAreCompleted) {
  faults.short_writes = true;
  write_checkpoint(path, numbered(5));
  EXPECT_EQ(step_of(path), 5);
}

TEST_F(CheckpointTest, KilledAtRandomTimes) {
  write_checkpoint(path, numbered(0));
  int64_t last = 0;
  for (int round = 0; round < 50; ++round) {
    fs::remove(before);
    pid_t pid = fork();
    if (pid == 0) write_and_exit(path, last + 1, INT64_MAX);
    // Every second child is let come to a rename first, however slow the disk is.
    for (int i = 0; round % 2 && i < 10000 && !fs::exists(before); ++i) usleep(1000);
    usleep(useconds_t(round * 7919 % 20000));
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
    LoadedCheckpoint loaded = read_checkpoint(path);
    EXPECT_EQ(loaded.notice, "");
    int64_t step = step_of(path);
    EXPECT_GE(step, last);
    last = step;
  }
  EXPECT_GT(last, 0);
}

}  // namespace
}  // namespace graft::test
