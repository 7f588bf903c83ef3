#include "io/dataset.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>

#include "io/csv.h"
#include "io/image.h"
#include "io/source_file.h"
#include "tests/image_files.h"

namespace graft {
namespace {

namespace fs = std::filesystem;
using test::thrown_by;
using test::Folder;
using test::write_text;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
bool warned(const Dataset& data, const std::string& part) {
  for (const std::string& warning : data.report.warnings) if (contains(warning, part)) return true;
  return false;
}
std::vector<std::string> names_of(const Dataset& data) {  // relative to the root
  std::vector<std::string> names;
  for (const Sample& s : data.samples) {
    names.push_back(fs::path(s.path).lexically_relative(data.root).string());
  }
  return names;
}
// No image is opened by the scan, so that any content will do.
void add_files(const Folder& folder, std::initializer_list<std::string> names) {
  for (const std::string& name : names) write_text(folder / name, name);
}
using Names = std::vector<std::string>;

TEST(Dataset, ClassesAndFilesAreSortedAsBytes) {
  Folder folder;
  add_files(folder, {"b/2.jpg", "b/10.jpg", "b/1.JPG", "a b/x.png", "Z/x.bmp", "b/sub/0.jpeg"});
  Dataset data = open_dataset(folder.path());
  EXPECT_EQ(data.classes, (Names{"Z", "a b", "b"}));
  EXPECT_EQ(names_of(data), (Names{"Z/x.bmp", "a b/x.png", "b/1.JPG", "b/10.jpg", "b/2.jpg",
                                   "b/sub/0.jpeg"}));
  EXPECT_EQ(data.samples[0].label, 0);
  EXPECT_EQ(data.samples[5].label, 2);
  EXPECT_EQ(data.class_sizes(), (std::vector<int64_t>{1, 1, 4}));
}

TEST(Dataset, WhatIsLeftOutIsCounted) {
  Folder folder;
  add_files(folder, {"a/1.jpg", "a/x.gif", "a/y.gif", "a/z.webp", "a/notes", "a/.hidden.jpg",
                     "a/Thumbs.db", "a/.DS_Store", "b/1.jpg", "readme.txt", ".git/x.jpg"});
  Dataset data = open_dataset(folder.path());
  EXPECT_EQ(data.classes, (Names{"a", "b"}));
  EXPECT_EQ(data.samples.size(), 2u);
  std::map<std::string, int64_t> want{{"extension .gif", 2}, {"extension .webp", 1},
                                      {"no extension", 1}, {"not in a class folder", 1}};
  EXPECT_EQ(data.report.left_out, want);
}

TEST(Dataset, MissingEmptyAndSingle) {
  Folder folder;
  EXPECT_EQ(thrown_by([&] { open_split(folder / "none"); }).fault, Fault::no_input);
  EXPECT_EQ(thrown_by([&] { open_dataset(folder / "none"); }).fault, Fault::no_input);
  EXPECT_EQ(thrown_by([&] { open_split(folder.path()); }).fault, Fault::data);
  add_files(folder, {"a/1.jpg"});
  Error error = thrown_by([&] { open_split(folder.path()); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_TRUE(contains(error.what(), "only one class"));
  DatasetOptions single;
  single.allow_single_class = true;
  EXPECT_EQ(open_split(folder.path(), single).train.samples.size(), 1u);
  fs::create_directory(folder / "b");
  error = thrown_by([&] { open_split(folder.path()); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_TRUE(contains(error.what(), folder / "b"));
  DatasetOptions empty;
  empty.allow_empty = true;
  Split split = open_split(folder.path(), empty);
  EXPECT_EQ(split.train.classes.size(), 2u);
  EXPECT_TRUE(warned(split.train, "no images of b"));
}

TEST(Dataset, NoPermissionNamesTheFolder) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  Folder folder;
  add_files(folder, {"a/1.jpg", "b/1.jpg"});
  ::chmod((folder / "b").c_str(), 0);
  Error error = thrown_by([&] { open_split(folder.path()); });
  ::chmod((folder / "b").c_str(), 0700);
  EXPECT_EQ(error.fault, Fault::permission);
  EXPECT_TRUE(contains(error.what(), folder / "b"));
}

TEST(Dataset, TrainAndValNeedTheSameClasses) {
  Folder folder;
  add_files(folder, {"train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "val/a/2.jpg", "val/d/2.jpg"});
  Error error = thrown_by([&] { open_split(folder.path()); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_TRUE(contains(error.what(), "Only in train: b, c. Only in val: d")) << error.what();
  fs::rename(folder / "val/d", folder / "val/b");
  add_files(folder, {"val/c/2.jpg"});
  Split split = open_split(folder.path());
  EXPECT_EQ(split.train.samples.size(), 3u);
  EXPECT_EQ(names_of(split.val), (Names{"a/2.jpg", "b/2.jpg", "c/2.jpg"}));
  EXPECT_EQ(names_of(open_dataset(folder.path())), names_of(split.val));
}

TEST(Dataset, SymbolicLinks) {
  Folder folder, outside;
  add_files(folder, {"a/1.jpg", "b/1.jpg"});
  add_files(outside, {"2.jpg"});
  fs::create_directory_symlink(folder.path(), folder / "a/loop");
  fs::create_directory_symlink(".", folder / "a/self");
  fs::create_directory_symlink(outside.path(), folder / "b/more");
  fs::create_directory_symlink(outside.path(), folder / "b/more too");
  fs::create_symlink("nowhere.jpg", folder / "b/broken.jpg");
  Dataset data = open_dataset(folder.path());
  EXPECT_EQ(names_of(data), (Names{"a/1.jpg", "b/1.jpg", "b/more/2.jpg"}));
  EXPECT_EQ(data.report.left_out["broken link"], 1);
  EXPECT_EQ(data.report.left_out["folder seen before (a link)"], 3);
  DatasetOptions inside;
  inside.links_outside = false;
  Error error = thrown_by([&] { open_dataset(folder.path(), inside); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_TRUE(contains(error.what(), "b/more"));
  fs::remove(folder / "b/more");
  fs::remove(folder / "b/more too");
  EXPECT_EQ(open_dataset(folder.path(), inside).samples.size(), 2u);
}

TEST(Dataset, StrangeNamesWork) {
  Folder folder;
  Names names{"-rf.jpg", "a\nb.jpg", "a b.jpg", "\xff\xfe.jpg", std::string(251, 'x') + ".jpg"};
  for (const std::string& name : names) write_text(folder / ("-c d/" + name), "x");
  add_files(folder, {"e\n/1.jpg"});
  Dataset data = open_dataset(folder.path());
  ASSERT_EQ(data.samples.size(), 6u);
  for (const Sample& sample : data.samples) EXPECT_NO_THROW(read_source(sample.path));
}

TEST(Dataset, SpecialFilesAreNotTaken) {
  Folder folder;
  add_files(folder, {"a/1.jpg", "b/1.jpg"});
  fs::create_directory(folder / "b/dir.jpg");
  ASSERT_EQ(::mkfifo((folder / "b/fifo.jpg").c_str(), 0600), 0);
  Dataset data = open_dataset(folder.path());
  EXPECT_EQ(data.samples.size(), 2u);
  EXPECT_EQ(data.report.left_out["not a regular file"], 1);
  EXPECT_EQ(thrown_by([&] { open_dataset(folder / "b/fifo.jpg"); }).fault, Fault::data);
}

TEST(Dataset, ValSplitIsStable) {
  Folder folder;
  for (int i = 0; i < 200; ++i) {
    for (const char* name : {"a", "b"}) add_files(folder, {fmt::format("{}/img_{}.jpg", name, i)});
  }
  DatasetOptions options;
  options.val_split = 0.25;
  Split split = open_split(folder.path(), options);
  EXPECT_EQ(split.train.samples.size() + split.val.samples.size(), 400u);
  EXPECT_NEAR(double(split.val.samples.size()), 100, 40);
  std::set<std::string> before;
  for (const std::string& name : names_of(split.val)) before.insert(name);
  add_files(folder, {"a/0_new.jpg", "b/zzz.jpg", "c/1.jpg"});
  int same = 0;
  for (const std::string& name : names_of(open_split(folder.path(), options).val)) {
    same += int(before.count(name));
  }
  EXPECT_EQ(same, int(before.size()));
  options.val_split = 1;
  EXPECT_THROW(open_split(folder.path(), options), Error);
}

TEST(Dataset, SharedImagesAreCounted) {
  Folder folder;
  add_files(folder, {"train/a/1.jpg", "train/b/2.jpg", "val/a/3.jpg", "val/b/4.jpg"});
  write_text(folder / "val/b/copy.jpg", "train/a/1.jpg");  // what add_files wrote there
  write_text(folder / "val/b/other.jpg", "train/a/X.jpg");
  Split split = open_split(folder.path());
  EXPECT_TRUE(warned(split.train, "1 of 4 validation images"));
  EXPECT_EQ(count_shared(split.train, split.val), 1);
}

TEST(Dataset, Warnings) {
  Folder folder;
  for (int i = 0; i < 30; ++i) add_files(folder, {fmt::format("10/{}.jpg", i)});
  add_files(folder, {"2/1.jpg"});
  Split split = open_split(folder.path());
  EXPECT_TRUE(warned(split.train, "folders are numbers"));
  EXPECT_TRUE(warned(split.train, "class 0 is \"10\""));
  EXPECT_TRUE(warned(split.train, "the largest class has 30"));
}

TEST(Dataset, TrainAloneIsNoClass) {
  Folder folder;
  add_files(folder, {"train/ant/1.jpg", "train/bee/1.jpg"});
  Split split = open_split(folder.path());
  EXPECT_EQ(split.train.classes, (std::vector<std::string>{"ant", "bee"}));
  EXPECT_TRUE(split.val.samples.empty());
}

TEST(Dataset, ASplitIsNotSplitAgain) {
  Folder folder;
  add_files(folder, {"train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg", "val/b/1.jpg"});
  DatasetOptions options;
  options.val_split = 0.5;
  EXPECT_THROW(open_split(folder.path(), options), Error);
}

TEST(Dataset, GivenClassesMatchByNameAliasOrNumber) {
  Folder folder;
  add_files(folder, {"tench/1.jpg", "n02/1.jpg", "2/1.jpg"});
  DatasetOptions options;
  options.names = {"shark", "tench", "hen", "ray"};
  options.aliases = {"n01", "n00", "n03", "n02"};
  Dataset data = open_dataset(folder.path(), options);
  EXPECT_EQ(data.classes, options.names);
  EXPECT_EQ(names_of(data), (Names{"2/1.jpg", "n02/1.jpg", "tench/1.jpg"}));
  EXPECT_EQ(data.samples[0].label, 2);
  EXPECT_EQ(data.samples[1].label, 3);
  EXPECT_EQ(data.samples[2].label, 1);
  add_files(folder, {"4/1.jpg"});
  Error error = thrown_by([&] { open_dataset(folder.path(), options); });
  EXPECT_EQ(error.fault, Fault::data);
  EXPECT_TRUE(contains(error.what(), "/4: the model has no class"));
  options.names = {"10", "2", "4"};  // names win over numbers
  options.aliases = {};
  fs::remove_all(folder / "n02");
  fs::remove_all(folder / "tench");
  data = open_dataset(folder.path(), options);
  EXPECT_EQ(data.samples[0].label, 1);
  EXPECT_EQ(data.samples[1].label, 2);
}

TEST(Dataset, FingerprintTellsData) {
  Folder one, two;
  for (const Folder* folder : {&one, &two}) {
    for (const char* name : {"a/1.jpg", "b/1.jpg"}) write_text(*folder / name, name);
  }
  uint64_t before = open_dataset(one.path()).fingerprint();
  EXPECT_EQ(open_dataset(two.path()).fingerprint(), before);  // wherever it lies
  write_text(two / "a/1.jpg", "longer than before");
  EXPECT_NE(open_dataset(two.path()).fingerprint(), before);
  write_text(two / "a/1.jpg", "a/1.jpg");
  EXPECT_EQ(open_dataset(two.path()).fingerprint(), before);
  fs::rename(two / "a/1.jpg", two / "a/2.jpg");
  EXPECT_NE(open_dataset(two.path()).fingerprint(), before);
}

TEST(Dataset, ManyFilesAreScannedFast) {
  Folder folder;
  for (const char* name : {"a", "b"}) {
    fs::create_directory(folder / name);
    for (int i = 0; i < 10000; ++i) {
      ::close(::open(fmt::format("{}/{}/{}.jpg", folder.path(), name, i).c_str(), O_CREAT | O_WRONLY, 0600));
    }
  }
  auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(open_dataset(folder.path()).samples.size(), 20000u);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(2));
}

TEST(Dataset, RealImagesAllDecode) {
  const char* data = std::getenv("GRAFT_TEST_DATA");
  if (!data) GTEST_SKIP() << "GRAFT_TEST_DATA is not set";
  std::string images = std::string(data) + "/images";
  Split split = open_split(images + "/hymenoptera");
  EXPECT_EQ(split.train.classes, (Names{"ants", "bees"}));
  EXPECT_EQ(split.train.samples.size(), 244u);
  EXPECT_EQ(split.val.samples.size(), 153u);
  EXPECT_EQ(split.train.report.left_out["extension .gif"], 1);
  Dataset csv = open_dataset(images + "/imagenet_500.csv");
  ASSERT_EQ(csv.samples.size(), 500u);
  for (size_t i = 0; i < 500; i += 5) EXPECT_NO_THROW(read_image(csv.samples[i].path));
  for (const Sample& sample : split.val.samples) EXPECT_NO_THROW(read_image(sample.path));
}

// ---- CSV ----

class Csv : public ::testing::Test {
 protected:
  std::string csv(const std::string& text) {
    write_text(folder / "data.csv", text);
    return folder / "data.csv";
  }
  std::string message(const std::string& text, const DatasetOptions& options = {}) {
    std::string path = csv(text);
    Error error = thrown_by([&] { open_split(path, options); });
    EXPECT_EQ(error.fault, Fault::data);
    EXPECT_TRUE(contains(error.what(), "data.csv")) << error.what();
    return error.what();
  }
  Folder folder;
};

TEST_F(Csv, HeaderMarkCrlfAndQuotes) {
  std::string text = "\xef\xbb\xbfpath,label\r\n\"a,\"\"1\"\"\n.jpg\",cat\r\n\r\nsub/b.jpg,\"dog\"\r\n";
  Split split = open_split(csv(text));
  EXPECT_EQ(split.train.classes, (Names{"cat", "dog"}));
  ASSERT_EQ(split.train.samples.size(), 2u);
  EXPECT_EQ(split.train.samples[0].path, folder / "a,\"1\"\n.jpg");
  EXPECT_EQ(split.train.samples[1].path, folder / "sub/b.jpg");
  EXPECT_EQ(split.train.samples[1].label, 1);
}

TEST_F(Csv, NoHeaderOtherOrderAndSplit) {
  EXPECT_EQ(open_split(csv("a.jpg,x\nb.jpg,y")).train.samples.size(), 2u);
  Split split = open_split(csv("split,Class,filename\ntrain,x,1.jpg\nval,y,2.jpg\nVal,x,/abs/3.jpg\n"));
  EXPECT_EQ(split.train.samples.size(), 1u);
  ASSERT_EQ(split.val.samples.size(), 2u);
  EXPECT_EQ(split.val.samples[1].path, "/abs/3.jpg");
  EXPECT_EQ(open_dataset(folder / "data.csv").samples.size(), 2u);  // val
}

TEST_F(Csv, NumbersAreClassNumbers) {
  Split split = open_split(csv("1.jpg,2\n2.jpg,10\n3.jpg,0\n"));
  EXPECT_EQ(split.train.classes.size(), 11u);
  EXPECT_EQ(split.train.samples[1].label, 10);
  DatasetOptions options;
  options.names = {"a", "b", "c"};
  EXPECT_TRUE(contains(message("1.jpg,2\n2.jpg,10\n", options), "line 2: label \"10\" is out of range"));
  EXPECT_EQ(open_split(csv("1.jpg,2\n2.jpg,b\n"), options).train.samples[1].label, 1);
}

TEST_F(Csv, ErrorsCarryTheLine) {
  EXPECT_TRUE(contains(message("path,label\n1.jpg,a\n2.jpg\n"), "line 3: 1 columns"));
  EXPECT_TRUE(contains(message("1.jpg,a\n2.jpg,NaN\n"), "line 2: the label is \"NaN\""));
  EXPECT_TRUE(contains(message("1.jpg,a\n2.jpg,\n"), "line 2: the label"));
  EXPECT_TRUE(contains(message("1.jpg,a\n,b\n"), "line 2: the path"));
  EXPECT_TRUE(contains(message("1.jpg,1\n2.jpg,-1\n"), "line 2: label -1"));
  EXPECT_TRUE(contains(message("1.jpg,a\n\"2\n\n.jpg\",b\n1.jpg,b\n"), "line 5: 1.jpg stands in line 1"));
  EXPECT_TRUE(contains(message("1.jpg,a,train\n2.jpg,b,tset\n"), "line 2: split \"tset\""));
  EXPECT_TRUE(contains(message("path,colour\n1.jpg,a\n"), "line 1: the header has no column"));
  EXPECT_TRUE(contains(message("picture,label\n1.jpg,a\n"), "line 1: the header has no column"));
  EXPECT_TRUE(contains(message("1.jpg\n"), "line 1: 1 columns"));
  EXPECT_TRUE(contains(message("1.jpg,a\n2.jpg,\"b\n"), "line 2: a quoted field is not closed"));
  message("");
  message("path,label\n");
  EXPECT_TRUE(contains(message("1.jpg,a\n2.jpg,a\n"), "only one class"));
}

TEST_F(Csv, LongLinesAreRefused) {
  EXPECT_TRUE(contains(message("1.jpg,a\n2.jpg," + std::string(2 << 20, 'x') + "\n"), "line 2: a record"));
}

TEST_F(Csv, AnythingIsReadOrRefused) {
  for (uint64_t seed = 0; seed < 1000; ++seed) {
    Random random(seed, "csv");
    std::string text;
    for (uint64_t n = random.below(60); n > 0; --n) text += "a,\"\n\r1\xef"[random.below(7)];
    try {
      open_split(csv(text));
    } catch (const Error& error) {
      EXPECT_EQ(error.fault, Fault::data);
    }
  }
}

}  // namespace
}  // namespace graft
