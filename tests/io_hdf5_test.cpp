#include "io/hdf5.h"

#include <csignal>
#include <functional>

#include "io/hdf5_trial.h"
#include "tests/hdf5_files.h"
#include "tests/io_scratch.h"

// The library forgets some of its own memory when it meets damaged metadata.
extern "C" const char* __lsan_default_suppressions() { return "leak:libhdf5"; }

namespace graft::test {
namespace {

std::string refused(const Scratch& dir, const std::function<void(hid_t)>& fill) {
  make(dir / "bad.h5", fill);
  return error_of([&] { read_tensors(dir / "bad.h5"); });
}

void expect_says(const std::string& message, const char* word) {
  EXPECT_NE(message.find(word), std::string::npos) << message;
}

const float kValues[3] = {1, -2.5f, 3};

TEST(Hdf5, RoundTrip) {
  Scratch dir;
  TensorMap t;
  t["a"] = counted({2, 3, 1, 1});
  t["deep/er"] = counted({3}).to(DType::f16);
  t["brain"] = counted({3}, 1e30f).to(DType::bf16);
  t["u8"] = counted({4}).to(DType::u8);
  t["i32"] = counted({4}, -3).to(DType::i32);
  t["scalar"] = counted({}, -5).to(DType::i64);
  t["none"] = Tensor::zeros({0, 7});
  Hdf5Writer writer(dir / "f.h5");
  for (const auto& [name, tensor] : t) writer.tensor("/t/" + name, tensor);
  writer.strings("/words", {"", "ä", "three"});
  writer.strings("/nothing", {});
  writer.attribute("/t", "pi", 0.1);
  writer.attribute("/t", "n", int64_t(-1) << 62);
  writer.attribute("/t", "long", std::string(200'000, 'x'));
  writer.attribute("/t", "empty", std::string());
  writer.commit();

  Hdf5Reader reader(dir / "f.h5");
  EXPECT_TRUE(reader.sealed());
  EXPECT_EQ(reader.datasets("/t").size(), t.size());
  for (const auto& [name, tensor] : t)
    EXPECT_TRUE(same(tensor, reader.tensor("/t/" + name))) << name;
  EXPECT_EQ(reader.strings("/words"), (std::vector<std::string>{"", "ä", "three"}));
  EXPECT_TRUE(reader.strings("/nothing").empty());
  EXPECT_EQ(reader.numbers("/t", "pi"), std::vector<double>{0.1});
  EXPECT_EQ(reader.integer("/t", "n"), int64_t(-1) << 62);
  EXPECT_EQ(reader.text("/t", "long").size(), 200'000u);
  EXPECT_EQ(reader.text("/t", "empty"), "");
  EXPECT_EQ(reader.attributes("/t"), (std::vector<std::string>{"empty", "long", "n", "pi"}));
  error_of([&] { reader.text("/t", "n"); });
  error_of([&] { reader.integer("/t", "long"); });
  error_of([&] { reader.tensor("/words"); });
  error_of([&] { reader.tensor("/t"); });
  error_of([&] { reader.strings("/t/a"); });
  error_of([&] { reader.tensor("/no/such"); });
}

TEST(Hdf5, SameContentsSameBytes) {
  Scratch dir;
  write_model_file(dir / "a.h5", small_model());
  write_model_file(dir / "b.h5", small_model());
  EXPECT_EQ(slurp(dir / "a.h5"), slurp(dir / "b.h5"));
}

TEST(Hdf5, NamesThatCannotBeStored) {
  Scratch dir;
  for (std::string name : {"/", "a", "/a//b", "/./a", "/a/.", "/a/"}) {
    error_of([&] { Hdf5Writer(dir / "f.h5").tensor(name, counted({1})); });
  }
  error_of([&] { Hdf5Writer(dir / "f.h5").strings("/s", {std::string("a\0b", 3)}); });
  EXPECT_EQ(dir.files(), 0u);
}

TEST(Hdf5, ForeignTypesAreConverted) {
  Scratch dir;
  const double d[2] = {0.1, 2};
  const int8_t small[2] = {-7, 7};
  make(dir / "f.h5", [&](hid_t f) {
    dataset(f, "big", H5T_IEEE_F32BE, {3}, kValues, H5T_NATIVE_FLOAT);
    dataset(f, "double", H5T_IEEE_F64BE, {2}, d, H5T_NATIVE_DOUBLE);
    dataset(f, "i8", H5T_STD_I8LE, {2}, small, H5T_NATIVE_INT8);
    dataset(f, "u32", H5T_STD_U32BE, {2}, small, H5T_NATIVE_INT8);
    hid_t compact = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_layout(compact, H5D_COMPACT);
    dataset(f, "compact", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT, compact);
    H5Pclose(compact);
  });
  TensorMap t = read_tensors(dir / "f.h5");
  EXPECT_EQ(t.at("big").data()[1], -2.5f);
  EXPECT_EQ(t.at("compact").data()[2], 3);
  EXPECT_EQ(t.at("double").data()[0], 0.1f);
  EXPECT_EQ(t.at("i8").data<int32_t>()[0], -7);
  EXPECT_EQ(t.at("u32").dtype(), DType::i64);
}

TEST(Hdf5, AllKindsOfStringsAndAUserBlock) {
  Scratch dir;
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  hid_t create = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_userblock(create, 512);
  hid_t f = H5Fcreate((dir / "f.h5").c_str(), H5F_ACC_TRUNC, create, H5P_DEFAULT);
  hid_t space = H5Screate(H5S_SCALAR), varying = H5Tcopy(H5T_C_S1);
  H5Tset_size(varying, H5T_VARIABLE);
  const char* text = "varying";
  hid_t a = H5Acreate2(f, "v", varying, space, H5P_DEFAULT, H5P_DEFAULT);
  H5Awrite(a, varying, &text);
  H5Aclose(a);
  for (auto [name, pad] : {std::pair("term", H5T_STR_NULLTERM), std::pair("null", H5T_STR_NULLPAD),
                           std::pair("space", H5T_STR_SPACEPAD)}) {
    hid_t fixed = H5Tcopy(H5T_C_S1);
    H5Tset_size(fixed, 6);
    H5Tset_strpad(fixed, pad);
    a = H5Acreate2(f, name, fixed, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(a, fixed, pad == H5T_STR_SPACEPAD ? "abc   " : "abc\0\0\0");
    H5Aclose(a);
    H5Tclose(fixed);
  }
  H5Dclose(dataset(f, "x", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT));
  H5Tclose(varying), H5Sclose(space), H5Fclose(f), H5Pclose(create);
  Hdf5Reader reader(dir / "f.h5");
  EXPECT_EQ(reader.text("/", "v"), "varying");
  for (const char* name : {"term", "null", "space"}) EXPECT_EQ(reader.text("/", name), "abc");
  EXPECT_EQ(reader.tensor("/x").data()[2], 3);
}

TEST(Hdf5, LinksToElsewhereAreRefused) {
  Scratch dir;
  expect_says(refused(dir,
                      [](hid_t f) {
                        H5Lcreate_external("/etc/passwd", "/x", f, "out", H5P_DEFAULT, H5P_DEFAULT);
                      }),
              "another file");
  expect_says(
      refused(dir, [](hid_t f) { H5Lcreate_soft("/loop", f, "loop", H5P_DEFAULT, H5P_DEFAULT); }),
      "soft link");
  expect_says(refused(dir,
                      [](hid_t f) {
                        hid_t g = H5Gcreate2(f, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
                        H5Lcreate_hard(f, "/", g, "up", H5P_DEFAULT, H5P_DEFAULT);
                        H5Gclose(g);
                      }),
              "cycle");
}

TEST(Hdf5, DataElsewhereIsRefused) {
  Scratch dir;
  expect_says(refused(dir,
                      [](hid_t f) {
                        hid_t create = H5Pcreate(H5P_DATASET_CREATE);
                        H5Pset_external(create, "/etc/passwd", 0, 12);
                        dataset(f, "x", H5T_IEEE_F32LE, {3}, nullptr, 0, create);
                        H5Pclose(create);
                      }),
              "another file");
  expect_says(refused(dir,
                      [](hid_t f) {
                        hsize_t n = 3;
                        hid_t create = H5Pcreate(H5P_DATASET_CREATE),
                              space = H5Screate_simple(1, &n, nullptr);
                        H5Pset_virtual(create, space, "/etc/passwd", "x", space);
                        H5Dclose(dataset(f, "x", H5T_IEEE_F32LE, {3}, nullptr, 0, create));
                        H5Sclose(space), H5Pclose(create);
                      }),
              "other files");
}

TEST(Hdf5, DataThatIsNotThereIsRefused) {
  Scratch dir;
  expect_says(refused(dir, [](hid_t f) { dataset(f, "x", H5T_IEEE_F32LE, {10}, nullptr, 0); }),
              "never written");
  expect_says(refused(dir,
                      [](hid_t f) {
                        dataset(f, "x", H5T_IEEE_F32LE, {1 << 30, 1 << 20, 64}, nullptr, 0);
                      }),
              "more bytes than the file");
  expect_says(refused(dir,
                      [](hid_t f) {
                        hid_t create = H5Pcreate(H5P_DATASET_CREATE);
                        hsize_t chunk = 3;
                        H5Pset_chunk(create, 1, &chunk);
                        dataset(f, "x", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT, create);
                        H5Pclose(create);
                      }),
              "chunks");
  expect_says(refused(dir,
                      [](hid_t f) {
                        uint64_t v = 1;
                        dataset(f, "x", H5T_STD_U64LE, {1}, &v, H5T_NATIVE_UINT64);
                      }),
              "element type");
}

// A file of the library's own, without our seal: damage meets the library itself.
TEST(Hdf5, ForeignFilesCutAnywhereAreErrors) {
  Scratch dir;
  make(dir / "f.h5",
       [](hid_t f) { dataset(f, "x", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT); });
  std::string whole = slurp(dir / "f.h5");
  for (size_t n = 0; n < whole.size(); n += kChildStride) {
    spill(dir / "cut.h5", whole.substr(0, n));
    error_of([&] { read_tensors(dir / "cut.h5"); });
  }
}

// The library crashes on some damaged files, and on which depends on its version.
TEST(Hdf5, WhatKillsTheLibraryIsAnError) {
  using hdf5::require_survival;
  std::vector<std::function<void()>> deaths = {[] { raise(SIGSEGV); }, [] { std::abort(); },
                                               [] { raise(SIGKILL); }, [] { _exit(0); },
                                               [] { while (getpid() > 0); },
                                               [] { std::vector<char>(300 << 20, 1); }};
  for (auto& die : deaths)
    expect_says(error_of([&] { require_survival("f.h5", die, 1); }), "f.h5: damaged");
  int here = 0;
  require_survival("f.h5", [&] { here = hdf5::in_trial(); });
  require_survival("f.h5", [&] { fail(Fault::io, "for the parent to meet again"); });
  EXPECT_EQ(here, 0);  // what the child does is not done here
}

// Group "g" of a file in the old format has its links in a tree; that tree is made its own child.
TEST(Hdf5, TreesThatHoldThemselvesAreErrors) {
  Scratch dir;
  make(dir / "f.h5", [](hid_t f) {
    hid_t g = H5Gcreate2(f, "g", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    for (int i = 0; i < 40; ++i)
      dataset(g, std::to_string(i).c_str(), H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT);
  });
  const std::string whole = slurp(dir / "f.h5");
  int trees = 0;
  for (size_t at = whole.find("TREE"); at != whole.npos; at = whole.find("TREE", at + 1), ++trees)
    for (char level : {0, 1, 2}) {
      std::string bytes = whole;
      uint64_t self = at;
      bytes[at + 5] = level;
      for (size_t child = at + 32; child < at + 100; child += 16)
        std::memcpy(&bytes[child], &self, sizeof self);
      spill(dir / "cycle.h5", bytes);
      error_of([&] { read_tensors(dir / "cycle.h5"); });
    }
  EXPECT_GE(trees, 2);
}

// The free space of a group's heap of names is a list; its first block is made its own successor
// (HDF5 File Format Specification 3.0, III.D). The library then takes memory until there is none.
TEST(Hdf5, FreeListsWithoutEndAreErrors) {
  Scratch dir;
  make(dir / "f.h5",
       [](hid_t f) { dataset(f, "x", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT); });
  std::string bytes = slurp(dir / "f.h5");
  size_t heap = bytes.find("HEAP");
  ASSERT_NE(heap, bytes.npos);
  uint64_t first, segment;
  std::memcpy(&first, &bytes[heap + 16], sizeof first);
  std::memcpy(&segment, &bytes[heap + 24], sizeof segment);
  ASSERT_LT(segment + first + 8, bytes.size());
  std::memcpy(&bytes[segment + first], &first, sizeof first);
  spill(dir / "endless.h5", bytes);
  expect_says(error_of([&] { read_tensors(dir / "endless.h5"); }), "does not survive");
}

hid_t chunked(const std::vector<hsize_t>& chunk, const std::function<void(hid_t)>& filter = {}) {
  hid_t create = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(create, int(chunk.size()), chunk.data());
  if (filter) filter(create);
  return create;
}

// No filter ever runs: what is compressed, or in chunks at all, is refused by its header.
TEST(Hdf5, CompressedDataIsRefusedUnread) {
  Scratch dir;
  auto says_what_to_do = [&](const std::function<void(hid_t)>& fill) {
    expect_says(refused(dir, fill), "h5repack -l CONTI -f NONE");
  };
  std::vector<float> zeros(1 << 20);
  says_what_to_do([&](hid_t f) {  // 4 MB of zeros in 4 kB
    hid_t create = chunked({1 << 20}, [](hid_t list) { H5Pset_deflate(list, 9); });
    dataset(f, "bomb", H5T_IEEE_F32LE, {1 << 20}, zeros.data(), H5T_NATIVE_FLOAT, create);
  });
  EXPECT_LT(fs::file_size(dir / "bad.h5"), 20'000u);
  says_what_to_do([&](hid_t f) {  // 4 TB, of which one chunk is there
    hid_t create = chunked({16, 16}, [](hid_t list) { H5Pset_deflate(list, 9); });
    dataset(f, "huge", H5T_IEEE_F32LE, {1 << 20, 1 << 20}, nullptr, 0, create);
  });
  says_what_to_do([&](hid_t f) {
    hid_t create = chunked({3}, [](hid_t list) {
      H5Pset_filter(list, 32004, H5Z_FLAG_OPTIONAL, 0, nullptr);  // lz4, which nobody has here
    });
    dataset(f, "filter", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT, create);
  });
}

// The header of a dataset has the address of its values and their bytes.
TEST(Hdf5, ValuesBehindTheEndAreRefused) {
  Scratch dir;
  make(dir / "f.h5",
       [&](hid_t f) { dataset(f, "x", H5T_IEEE_F32LE, {3}, kValues, H5T_NATIVE_FLOAT); });
  std::string bytes = slurp(dir / "f.h5");
  uint64_t place[2] = {0, sizeof kValues};
  place[0] = bytes.find({reinterpret_cast<const char*>(kValues), sizeof kValues});
  size_t at = bytes.find({reinterpret_cast<const char*>(place), sizeof place});
  ASSERT_NE(at, bytes.npos);
  for (uint64_t wrong : {uint64_t(bytes.size() - 4), uint64_t(1) << 40, ~uint64_t(0) - 8}) {
    std::memcpy(&bytes[at], &wrong, sizeof wrong);
    spill(dir / "past.h5", bytes);
    expect_says(error_of([&] { read_tensors(dir / "past.h5"); }), "past.h5");
  }
}

}  // namespace
}  // namespace graft::test
