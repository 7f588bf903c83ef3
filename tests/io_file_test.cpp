#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "io/crc32c.h"
#include "io/events.h"
#include "io/file.h"
#include "io/sha256.h"
#include "tests/io_scratch.h"

namespace graft::test {
namespace {

TEST(Sha256, PublishedVectors) {  // FIPS 180-4 examples
  EXPECT_EQ(sha256("", 0), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc", 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  std::string a(1'000'000, 'a');
  EXPECT_EQ(sha256(a.data(), a.size()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, AsBytes) {
  Sha256 text, bytes;
  text.add("abc", 3), bytes.add("abc", 3);
  std::string digits;
  for (uint8_t byte : bytes.digest()) digits += fmt::format("{:02x}", byte);
  EXPECT_EQ(digits, text.hex());
}

TEST(Sha256, PiecesGiveTheSameAsTheWhole) {
  std::string text(300, 'x');
  for (size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256 hash;
    hash.add(text.data(), cut);
    hash.add(text.data() + cut, text.size() - cut);
    ASSERT_EQ(hash.hex(), sha256(text.data(), text.size())) << cut;
  }
}

TEST(Crc32c, PublishedVectors) {  // RFC 3720, B.4
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8a9136aau);
  EXPECT_EQ(crc32c("456789", 6, crc32c("123", 3)), 0xe3069283u);
}

TEST(InputFile, SaysWhatIsWrong) {
  Scratch dir;
  error_of([&] { InputFile(dir / "none"); }, Fault::no_input);
  EXPECT_NE(error_of([&] { InputFile(dir.path()); }).find("folder"), std::string::npos);
  mkfifo((dir / "pipe").c_str(), 0600);
  error_of([&] { InputFile(dir / "pipe"); });  // and does not wait
  spill(dir / "f", "12345678");
  InputFile file(dir / "f");
  fs::resize_file(dir / "f", 4);
  char to[8];
  EXPECT_NE(error_of([&] { file.read(0, to, 8); }).find("offset 4"), std::string::npos);
}

TEST(AtomicFile, AppearsAtCommitOnly) {
  Scratch dir;
  spill(dir / "f", "old");
  {
    AtomicFile file(dir / "f");
    file.append("new", 3);
    EXPECT_EQ(slurp(dir / "f"), "old");
  }
  EXPECT_EQ(slurp(dir / "f"), "old");
  EXPECT_EQ(dir.files(), 1u);
  AtomicFile file(dir / "f");
  file.append("new", 3);
  file.commit(dir / "before");
  EXPECT_EQ(slurp(dir / "f"), "new");
  EXPECT_EQ(slurp(dir / "before"), "old");
  EXPECT_EQ(dir.files(), 2u);
}

TEST(AtomicFile, RefusesWhatIsNoFile) {
  Scratch dir;
  error_of([&] { AtomicFile(dir.path()); }, Fault::cant_create);
  error_of([] { AtomicFile("/dev/null"); }, Fault::cant_create);
  error_of([&] { AtomicFile(dir / "no" / "f"); }, Fault::cant_create);
  fs::create_symlink(dir / "real", dir / "link");
  spill(dir / "real", "old");
  AtomicFile file(dir / "link");
  file.append("new", 3);
  file.commit();
  EXPECT_TRUE(fs::is_symlink(dir / "link"));
  EXPECT_EQ(slurp(dir / "real"), "new");
}

// Runs f in a child without root's rights; true when it returned true.
template <class F>
bool as_nobody(F f) {
  pid_t pid = fork();
  if (pid == 0) {
    bool ok = getuid() != 0 || setuid(65534) == 0;
    try {
      _exit(ok && f() ? 0 : 1);
    } catch (...) {
      _exit(2);
    }
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(AtomicFile, ReadOnlyFolderIsFoundBeforeWork) {
  Scratch dir;
  fs::permissions(dir.path(), fs::perms(0555));
  EXPECT_TRUE(as_nobody([&] {
    try {
      make_writable_folder(dir.path());
    } catch (const Error& e) {
      return e.fault == Fault::permission;
    }
    return false;
  }));
  fs::permissions(dir.path(), fs::perms(0755));
  make_writable_folder(dir / "a/b/c");
  EXPECT_TRUE(fs::is_empty(dir / "a/b/c"));
  spill(dir / "f", "");
  error_of([&] { make_writable_folder(dir / "f"); }, Fault::cant_create);
}

TEST(AtomicFile, LeftoversOfTheDeadAreRemoved) {
  Scratch dir;
  pid_t dead = fork();
  if (dead == 0) _exit(0);
  waitpid(dead, nullptr, 0);
  spill(dir / fmt::format(".model.h5.graft-tmp-{}-0", dead), "x");
  spill(dir / fmt::format(".model.h5.graft-tmp-{}-0", getpid()), "x");
  spill(dir / ".model.h5.graft-tmp-x", "not ours");
  spill(dir / "model.h5", "x");
  remove_leftovers(dir.path());
  EXPECT_EQ(dir.files(), 3u);
}

TEST(Leftovers, OfAnotherContainerThatIsStillWriting) {
  Scratch dir;
  AtomicFile file(dir / "model.h5");
  fs::path written;
  for (const auto& entry : fs::directory_iterator(dir.path())) written = entry.path();
  const fs::path elsewhere = dir / ".model.h5.graft-tmp-999999999-0";  // no process here has the number
  fs::rename(written, elsewhere);
  remove_leftovers(dir.path());
  EXPECT_TRUE(fs::exists(elsewhere));
  fs::rename(elsewhere, written);
  file.commit();
  fs::rename(dir / "model.h5", elsewhere);
  remove_leftovers(dir.path());
  EXPECT_FALSE(fs::exists(elsewhere));
}

TEST(RunLock, OneAtATime) {
  Scratch dir;
  {
    RunLock first(dir.path());
    error_of([&] { RunLock second(dir.path()); }, Fault::temporary);
  }
  RunLock again(dir.path());
}

TEST(EventLog, AppendsLinesAndCutsHalfOnes) {
  Scratch dir;
  {
    EventLog log(dir / "events.jsonl");
    log.append("{\"epoch\":1}");
    log.append("{\"epoch\":2}");
    error_of([&] { log.append("a\nb"); });
  }
  std::ofstream(dir / "events.jsonl", std::ios::app) << "{\"epo";
  EventLog(dir / "events.jsonl").append("{\"epoch\":3}");
  EXPECT_EQ(slurp(dir / "events.jsonl"), "{\"epoch\":1}\n{\"epoch\":2}\n{\"epoch\":3}\n");
  EventLog(dir / "events.jsonl", 1).append("{\"epoch\":9}");
  EXPECT_EQ(slurp(dir / "events.jsonl"), "{\"epoch\":1}\n{\"epoch\":9}\n");
}

// The largest file is limited to n bytes, for every small n and some large: the old file survives.
TEST(AtomicFile, FileSizeLimitLeavesTheOldFile) {
  signal(SIGXFSZ, SIG_IGN);
  Scratch dir;
  write_model_file(dir / "m.h5", small_model(1));
  std::string old = slurp(dir / "m.h5");
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  for (rlim_t n = 0; n < old.size(); n += 1 + n / 16) {
    rlimit limit{n, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    std::string message =
        error_of([&] { write_model_file(dir / "m.h5", small_model(2)); }, Fault::io);
    setrlimit(RLIMIT_FSIZE, &before);
    ASSERT_NE(message.find("m.h5"), std::string::npos);
    ASSERT_EQ(slurp(dir / "m.h5"), old) << n;
    ASSERT_EQ(dir.files(), 1u) << n;
  }
}

}  // namespace
}  // namespace graft::test
