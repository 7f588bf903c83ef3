#include <sys/mount.h>

#include "io/hdf5.h"
#include "io/model_file.h"
#include "io/safetensors.h"
#include "tests/io_scratch.h"

namespace graft::test {
namespace {

TEST(ModelFile, RoundTrip) {
  Scratch dir;
  write_model_file(dir / "m.h5", small_model());
  expect_same(read_model_file(dir / "m.h5"), small_model());
  EXPECT_TRUE(same(read_tensors(dir / "m.h5"), small_model().tensors));
  EXPECT_EQ(dir.files(), 1u);
  ModelFile bare;
  write_model_file(dir / "bare.h5", bare);
  expect_same(read_model_file(dir / "bare.h5"), bare);
}

TEST(ModelFile, EveryPrefixIsAnError) {
  Scratch dir;
  write_model_file(dir / "m.h5", small_model());
  std::string whole = slurp(dir / "m.h5");
  for (size_t n = 0; n < whole.size(); n += kChildStride) {
    spill(dir / "cut.h5", whole.substr(0, n));
    if (n % 2) error_of([&] { read_model_file(dir / "cut.h5"); });
    else error_of([&] { read_tensors(dir / "cut.h5"); });
  }
}

TEST(ModelFile, EveryFlippedByteIsAnError) {
  Scratch dir;
  write_model_file(dir / "m.h5", small_model());
  const std::string whole = slurp(dir / "m.h5");
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string bytes = whole;
    bytes[at] = char(bytes[at] ^ (1 << at % 8));
    spill(dir / "flip.h5", bytes);
    error_of([&] { read_model_file(dir / "flip.h5"); });
  }
}

// The library alone, without the seal to protect it: metadata has checksums of its own.
TEST(ModelFile, UnsealedFlipsNeverCrash) {
  Scratch dir;
  write_model_file(dir / "m.h5", small_model());
  std::string whole = slurp(dir / "m.h5");
  whole.resize(whole.size() - 24);
  for (size_t at = 0; at < whole.size(); at += kChildStride) {
    std::string bytes = whole;
    bytes[at] = char(bytes[at] ^ (1 << at % 8));
    spill(dir / "flip.h5", bytes);
    try {
      Hdf5Reader file(dir / "flip.h5");
      get_tensors(file, "/tensors");
    } catch (const Error& e) {
      EXPECT_EQ(int(e.fault), int(Fault::data)) << e.what();
    }
  }
}

std::string message_of(const fs::path& path) {
  return error_of([&] { read_model_file(path); });
}

TEST(ModelFile, NewerAndForeignFilesAreRefused) {
  Scratch dir;
  {
    Hdf5Writer file(dir / "newer.h5");
    file.attribute("/", "format", std::string("graft model"));
    file.attribute("/", "version", int64_t(99));
    file.commit();
  }
  EXPECT_NE(message_of(dir / "newer.h5").find("newer graft"), std::string::npos);
  {
    Hdf5Writer file(dir / "foreign.h5");
    file.tensor("/x", counted({2}));
    file.commit();
  }
  EXPECT_NE(message_of(dir / "foreign.h5").find("no model of graft"), std::string::npos);
  {
    Hdf5Writer file(dir / "keras.h5");
    file.group("/model_weights");
    file.commit();
  }
  EXPECT_NE(error_of([&] { read_tensors(dir / "keras.h5"); }).find("Keras"), std::string::npos);
  write_safetensors(dir / "s", small_model().tensors);
  EXPECT_NE(message_of(dir / "s").find("safetensors"), std::string::npos);
  error_of([&] { read_model_file(dir / "none.h5"); }, Fault::no_input);
}

TEST(ModelFile, WhatDoesNotFitIsRefusedBeforeWriting) {
  Scratch dir;
  ModelFile m = small_model();
  m.class_ids.pop_back();
  error_of([&] { write_model_file(dir / "m.h5", m); });
  m = small_model();
  m.frozen_hashes["fc.wight"] = "";
  error_of([&] { write_model_file(dir / "m.h5", m); });
  m = small_model();
  m.tensors["fc.weight/a"] = counted({1});  // below a tensor
  error_of([&] { write_model_file(dir / "m.h5", m); }, Fault::internal);
  EXPECT_EQ(dir.files(), 0u);
}

TEST(ModelFile, ReadOnlyFilesLoad) {
  Scratch dir;
  write_model_file(dir / "m.h5", small_model());
  fs::permissions(dir / "m.h5", fs::perms(0444));
  expect_same(read_model_file(dir / "m.h5"), small_model());
}

TEST(ModelFile, ReadOnlyFileSystemsLoad) {
  Scratch dir;
  if (mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "cannot mount a small file system here";
  write_model_file(dir / "m.h5", small_model());
  write_safetensors(dir / "m.safetensors", small_model().tensors);
  mount(nullptr, dir.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr);
  error_of([&] { write_model_file(dir / "other.h5", small_model()); }, Fault::permission);
  expect_same(read_model_file(dir / "m.h5"), small_model());
  EXPECT_TRUE(same(read_safetensors(dir / "m.safetensors").tensors, small_model().tensors));
  umount(dir.path().c_str());
}

// A file system of 256 kB that holds an old file and k kB of other things.
TEST(ModelFile, FullDiskLeavesTheOldFile) {
  Scratch dir;
  if (mount("tmpfs", dir.path().c_str(), "tmpfs", 0, "size=256k") != 0)
    GTEST_SKIP() << "cannot mount a small file system here";
  ModelFile big = small_model(2);
  big.tensors["fc2.weight"] = counted({150, 100});  // 60 kB
  write_model_file(dir / "m.h5", small_model(1));
  const std::string old = slurp(dir / "m.h5");
  int failures = 0;
  for (int kept = 250; kept > 100; kept -= 4) {
    spill(dir / "ballast", std::string(size_t(kept) * 1024, 'x'));
    try {
      write_model_file(dir / "m.h5", big);
      break;
    } catch (const Error& e) {
      ++failures;
      EXPECT_EQ(int(e.fault),
                int(kept > 240 && e.fault == Fault::cant_create ? Fault::cant_create : Fault::io));
      EXPECT_EQ(slurp(dir / "m.h5"), old);
      EXPECT_EQ(dir.files(), 2u);
    }
  }
  EXPECT_GT(failures, 5);
  expect_same(read_model_file(dir / "m.h5"), big);
  umount(dir.path().c_str());
}

}  // namespace
}  // namespace graft::test
