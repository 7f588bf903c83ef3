#include <cstdlib>

#include "io/torch_file.h"
#include "io/torch_tensors.h"
#include "tests/io_scratch.h"
#include "tests/torch_sample.h"

namespace graft::test {
namespace {

using py::Storage;

TensorMap expected_of_sample() {
  TensorMap t;
  t["matrix"] = t["tied"] = counted({2, 3}, 1);
  Tensor m = t["matrix"], v = counted({10}, -2);
  t["turned"] = Tensor::zeros({3, 2});
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 2; ++j) t["turned"].mutable_data()[i * 2 + j] = m.data()[j * 3 + i];
  t["part"] = Tensor::from<float>({4}, std::span(v.data() + 3, 4));
  t["every_other"] = Tensor::from({2, 2}, {v.data()[1], v.data()[3], v.data()[5], v.data()[7]});
  t["steps"] = Tensor({}, DType::i64);
  *t["steps"].mutable_data<int64_t>() = int64_t(1) << 40;
  t["half"] = Tensor::from({2}, {1, -2}).to(DType::f16);
  t["brain"] = Tensor::from({3, 1}, {1, -2, 3}).to(DType::bf16);
  t["none"] = Tensor::zeros({0, 4});
  return t;
}

TorchFile load(const std::string& bytes) {
  Scratch dir;
  spill(dir / "f.pth", bytes);
  return read_torch_file(dir / "f.pth");
}

std::string refused(const std::string& bytes) {
  return error_of([&] { load(bytes); });
}

bool says(const std::string& message, const std::string& part) {
  return message.find(part) != std::string::npos;
}

TEST(TorchFile, EveryFormGivesTheSameBits) {
  Scratch dir;
  for (const auto& [form, bytes] : every_form()) {
    SCOPED_TRACE(form);
    TorchFile file = load(bytes);
    EXPECT_TRUE(same(file.tensors, expected_of_sample()));
    EXPECT_TRUE(file.skipped.empty());
    spill(dir / "f", bytes);
    EXPECT_TRUE(same(read_tensors(dir / "f"), expected_of_sample()));
  }
}

TEST(TorchFile, ContiguousTensorsShareTheirStorage) {
  for (const auto& [form, bytes] : every_form()) {
    TorchFile file = load(bytes);
    EXPECT_EQ(file.tensors["matrix"].raw(), file.tensors["tied"].raw()) << form;
  }
}

TEST(TorchFile, TypesAreWidenedByTheRule) {
  auto one = [](const Storage& s) {
    return load(torch_zip(py::dict({{"t", py::tensor(s, 0, {s.count}, {1})}}), {s})).tensors["t"];
  };
  EXPECT_EQ(one(storage<double>("0", "DoubleStorage", {0.1, -3})).data()[0], 0.1f);
  EXPECT_EQ(one(storage<int8_t>("0", "CharStorage", {-5})).data<int32_t>()[0], -5);
  EXPECT_EQ(one(storage<int16_t>("0", "ShortStorage", {-500})).data<int32_t>()[0], -500);
  EXPECT_EQ(one(storage<int32_t>("0", "IntStorage", {7})).data<int32_t>()[0], 7);
  EXPECT_EQ(one(storage<uint8_t>("0", "ByteStorage", {200})).data<uint8_t>()[0], 200);
  EXPECT_EQ(one(storage<uint8_t>("0", "BoolStorage", {1})).data<uint8_t>()[0], 1);
  Storage cuda = storage<float>("0", "FloatStorage", {4});
  cuda.device = "cuda:3", cuda.module = "torch.cuda";
  EXPECT_EQ(one(cuda).item(), 4);
  Storage complex = storage<int64_t>("0", "ComplexFloatStorage", {1});
  std::string object = py::dict({{"t", py::tensor(complex, 0, {1}, {1})}});
  EXPECT_TRUE(says(refused(torch_zip(object, {complex})), "torch.ComplexFloatStorage"));
}

TEST(TorchFile, ViewsOfLegacyFiles) {
  Sample s;
  Storage whole = s.vector, view = s.vector;
  whole.view = py::none();
  view.view = py::tuple({py::text("view"), py::number(3), py::number(4)});
  py::Dict entries{{"whole", py::tensor(whole, 0, {10}, {1})},
                   {"view", py::tensor(view, 1, {2}, {1})}};
  TensorMap t = load(torch_legacy(py::dict(entries), {s.vector})).tensors;
  EXPECT_EQ(t["view"].data()[0], t["whole"].data()[4]);
}

TEST(TorchFile, StateDictsAreFoundInCheckpoints) {
  Sample s;
  std::string state = py::ordered(s.entries());
  std::string args = py::global("argparse", "Namespace") + ")\x81" +
                     py::dict({{"run", py::call(py::global("posix", "system"), {})}}) + "b";
  for (const char* key : {"state_dict", "model_state_dict", "model", "net", "network", "weights",
                          "params", "state_dict_ema", "model_ema"}) {
    std::string object = py::dict(
        {{"epoch", py::number(3)}, {key, state}, {"best_prec1", py::real()}, {"args", args}});
    for (const std::string& bytes :
         {torch_zip(object, s.storages()), torch_legacy(object, s.storages())}) {
      TorchFile file = load(bytes);
      EXPECT_TRUE(same(file.tensors, expected_of_sample())) << key;
      EXPECT_EQ(file.skipped, (std::vector<std::string>{"epoch (a number)", "best_prec1 (a number)",
                                                        "args (an object of argparse.Namespace)"}));
    }
  }
  std::string average = py::dict({{"x", py::tensor(s.half, 0, {1}, {1})}});
  std::string both = py::dict({{"model_ema", average}, {"model", py::dict({{"net", state}})}});
  EXPECT_TRUE(same(load(torch_zip(both, s.storages())).tensors,
                   load(torch_zip(average, s.storages())).tensors));  // tensors at once win
  std::string nested = py::dict({{"model", py::dict({{"net", state}})}, {"epoch", py::none()}});
  EXPECT_TRUE(same(load(torch_zip(nested, s.storages())).tensors, expected_of_sample()));
  std::string two = py::dict({{"state_dict_ema", py::dict({{"x", py::none()}})}, {"model", state}});
  EXPECT_TRUE(same(load(torch_zip(two, s.storages())).tensors, expected_of_sample()));
}

TEST(TorchFile, OptimizersOfLegacyFilesAreSteppedOver) {
  Sample s;
  Storage momentum = storage("5", "DoubleStorage", std::vector<double>(7, 1));
  std::string object = py::dict({{"optimizer", py::list({py::tensor(momentum, 0, {7}, {1})})},
                                 {"state_dict", py::ordered(s.entries())}});
  Storages storages = s.storages();
  storages.insert(storages.begin() + 2, momentum);
  TorchFile file = load(torch_legacy(object, storages));
  EXPECT_TRUE(same(file.tensors, expected_of_sample()));
  EXPECT_EQ(file.skipped, std::vector<std::string>{"optimizer (a list)"});
}

TEST(TorchFile, OtherSpellingsOfAStateDict) {
  Sample s;
  std::string tensor = py::tensor(s.matrix, 0, {2, 3}, {3, 1});
  TensorMap expected{{"w", counted({2, 3}, 1)}};
  std::string parameter =
      py::call(py::global("torch._utils", "_rebuild_parameter"), {tensor, py::yes(), py::none()});
  std::string arguments = py::tuple({py::storage(s.matrix), py::number(0), py::numbers({2, 3}),
                                     py::numbers({3, 1}), py::yes(), py::none()});
  std::string typed =
      py::call(py::global("torch._tensor", "_rebuild_from_type_v2"),
               {py::global("torch._utils", "_rebuild_tensor_v2"),
                py::global("torch.nn.parameter", "Parameter"), arguments, py::dict({})});
  for (const std::string& value : {tensor, parameter, typed})
    EXPECT_TRUE(same(load(torch_zip(py::dict({{"w", value}}), {s.matrix})).tensors, expected));
  std::string python2 = py::call(py::global("collections", "OrderedDict"),
                                 {py::list({py::list({py::old_text("w"), tensor})})});
  EXPECT_TRUE(same(load(torch_zip(python2, {s.matrix})).tensors, expected));
  std::string versions = py::ordered({{"w", tensor}}) +
                         py::dict({{"_metadata", py::ordered({{"", py::dict({})}})}}) + "b";
  EXPECT_TRUE(same(load(torch_zip(versions, {s.matrix})).tensors, expected));
  TorchFile mixed = load(torch_zip(py::dict({{"w", tensor}, {"n", py::number(1)}}), {s.matrix}));
  EXPECT_TRUE(same(mixed.tensors, expected));
  EXPECT_EQ(mixed.skipped, std::vector<std::string>{"n (a number)"});
  py::Dict configured{{"w", tensor}, {"model", py::dict({{"depth", py::number(18)}})}};
  EXPECT_TRUE(same(load(torch_zip(py::dict(configured), {s.matrix})).tensors, expected));
  EXPECT_TRUE(load(torch_zip(py::dict({}), {})).tensors.empty());
}

TEST(TorchFile, NothingIsRun) {
  Scratch dir;
  Sample s;
  std::string canary = (dir / "canary").string();
  for (auto [module, name] :
       {std::pair("posix", "system"), std::pair("os", "system"), std::pair("builtins", "eval"),
        std::pair("torch", "load"), std::pair("torch.hub", "FloatStorage")}) {
    std::string evil = py::call(py::global(module, name), {py::text("touch " + canary)});
    std::string full = std::string(module) + "." + name;
    py::Dict entries = s.entries();
    entries.emplace_back("evil", evil);
    std::string hook = py::call(py::global("torch._utils", "_rebuild_tensor_v2"),
                                {py::storage(s.matrix), py::number(0), py::numbers({6}),
                                 py::numbers({1}), py::yes(), py::dict({{"hook", evil}})});
    std::string state = py::ordered(s.entries()) + py::dict({{"_metadata", evil}}) + "b";
    for (const std::string& object : {evil, py::dict(entries), py::dict({{"w", hook}}), state,
                                      py::dict({{"state_dict", py::dict(entries)}})})
      for (const std::string& bytes :
           {torch_zip(object, s.storages()), torch_legacy(object, s.storages())}) {
        std::string message = refused(bytes);
        EXPECT_TRUE(says(message, full)) << message;
        EXPECT_EQ(message.find('\n'), std::string::npos);
      }
  }
  EXPECT_FALSE(fs::exists(canary));
}

TEST(TorchFile, WindowsStayWithinTheirStorages) {
  const int64_t huge = INT64_MAX;
  Storage s = storage("0", "FloatStorage", counting(6, 1));
  struct Window {
    int64_t offset;
    std::vector<int64_t> shape, stride;
  };
  for (const Window& w :
       std::vector<Window>{{1, {6}, {1}},
                           {-1, {2}, {1}},
                           {0, {7}, {1}},
                           {0, {2, 3}, {4, 1}},
                           {5, {2}, {-1}},
                           {0, {-1, -6}, {1, 1}},
                           {0, {2}, {huge}},
                           {huge, {1}, {1}},
                           {0, {huge, huge}, {huge, huge}},
                           {0, {int64_t(1) << 32, int64_t(1) << 32}, {0, 0}},
                           {0, {1000}, {0}},
                           {0, {6}, {}},
                           {0, {}, {1}},
                           {7, {0}, {1}},
                           {0, std::vector<int64_t>(33, 1), std::vector<int64_t>(33, 1)}}) {
    std::string object = py::dict({{"name", py::tensor(s, w.offset, w.shape, w.stride)}});
    EXPECT_TRUE(says(refused(torch_zip(object, {s})), "tensor name"));
    EXPECT_TRUE(says(refused(torch_legacy(object, {s})), "tensor name"));
  }
  std::string empty = py::dict({{"t", py::tensor(s, 6, {0, 2}, {5, 1})}});
  EXPECT_EQ(load(torch_zip(empty, {s})).tensors["t"].size(), 0);
}

TEST(TorchFile, CopiesOfOneStorageAreLimited) {
  auto turned_often = [](int64_t side, int copies) {
    Storage s = storage("0", "FloatStorage", counting(size_t(side * side), 1));
    py::Dict entries;
    for (int i = 0; i < copies; ++i)
      entries.emplace_back("t" + std::to_string(i), py::tensor(s, 0, {side, side}, {1, side}));
    return torch_zip(py::dict(entries), {s});
  };
  EXPECT_EQ(load(turned_often(4, 9)).tensors.size(), 9u);
  EXPECT_TRUE(says(refused(turned_often(1024, 18)), "contiguous"));
}

TEST(TorchFile, ValuesInManyPlacesCostLittle) {
  Storage s = storage("0", "FloatStorage", counting(6, 1));
  std::string entries = py::kept(py::text(std::string(1 << 20, 'k')), 1) + py::none();
  for (int i = 0; i < 100'000; ++i) entries += py::recalled(1) + py::none();
  std::string beside =
      "}(" + entries + py::text("model") + py::dict({{"w", py::tensor(s, 0, {6}, {1})}}) + "u";
  TorchFile file = load(torch_zip(beside, {s}));
  EXPECT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.skipped.size(), 1000u);
  EXPECT_LT(file.skipped[0].size(), 600u);
  refused(torch_zip("}(" + entries + "u", {s}));

  py::Dict many{{"t", py::kept(py::tensor(s, 0, {6}, {1}), 1)}};
  for (int i = 0; i < 30'000; ++i) many.emplace_back(std::to_string(i), py::recalled(1));
  EXPECT_TRUE(says(refused(torch_zip(py::dict(many), {s})), "more than 20000 tensors"));
  s.key = std::string(1000, 'k');
  EXPECT_TRUE(says(refused(torch_zip(py::dict({{"w", py::tensor(s, 0, {6}, {1})}}), {s})),
                   "a key of 1000 bytes"));
}

TEST(TorchFile, RefusesObjectsThatAreNoStateDict) {
  Sample s;
  std::string model = py::call(py::global("torchvision.models.resnet", "ResNet"), {});
  EXPECT_TRUE(says(refused(torch_zip(model, {})), "torchvision.models.resnet.ResNet"));
  EXPECT_TRUE(says(refused(torch_zip(py::list({}), {})), "a list"));
  EXPECT_TRUE(says(refused(torch_zip(py::dict({{"lr", py::real()}}), {})), "keys lr"));
  for (const char* kind : {"_rebuild_tensor_v3", "_rebuild_sparse_tensor", "_rebuild_qtensor"}) {
    std::string other = py::call(py::global("torch._utils", kind), {});
    EXPECT_TRUE(says(refused(torch_zip(py::dict({{"w", other}}), {})), kind));
  }
  std::string deep = "N" + std::string(500'000, '\x85');
  EXPECT_TRUE(says(refused(torch_zip(deep, {})), "a tuple"));
  EXPECT_TRUE(says(
      refused(torch_zip(
          py::dict({{"model", py::kept("}", 1) + py::text("model") + py::recalled(1) + "s"}}), {})),
      "no state dict"));
  std::string tensor = py::tensor(s.matrix, 0, {6}, {1});
  py::Dict twice{{"module.w", tensor}, {"w", tensor}};
  EXPECT_TRUE(says(refused(torch_zip(py::dict(twice), {s.matrix})), "two of this name"));
  std::string wrong = py::call(py::global("torch._utils", "_rebuild_tensor_v2"), {py::none()});
  EXPECT_TRUE(says(refused(torch_zip(py::dict({{"w", wrong}}), {})), "tensor w"));
  Storage other = s.matrix;
  other.kind = "IntStorage";
  py::Dict both{{"a", tensor}, {"b", py::tensor(other, 0, {6}, {1})}};
  EXPECT_TRUE(says(refused(torch_zip(py::dict(both), {s.matrix})), "another type"));
  EXPECT_TRUE(says(refused(torch_legacy(py::dict(both), {s.matrix})), "two types"));
}

TEST(TorchZip, AnyRootAndZip64) {
  Sample s;
  std::string object = py::ordered(s.entries());
  for (const char* root : {"a b", "résumé", "."}) {
    auto members = torch_members(object, s.storages(), root);
    EXPECT_TRUE(same(load(zip_of(members)).tensors, expected_of_sample())) << root;
    for (ZipMember& m : members) m.zip64 = true;
    EXPECT_TRUE(same(load(zip_of(members)).tensors, expected_of_sample())) << root;
    for (ZipMember& m : members) m.zip64 = m.descriptor = false;
    EXPECT_TRUE(same(load(zip_of(members)).tensors, expected_of_sample())) << root;
  }
}

TEST(TorchZip, RefusesArchivesThatLie) {
  Sample s;
  const std::vector<ZipMember> good = torch_members(py::ordered(s.entries()), s.storages());
  auto with = [&](auto change) {
    std::vector<ZipMember> members = good;
    change(members);
    return refused(zip_of(members));
  };
  using Members = std::vector<ZipMember>;
  EXPECT_TRUE(says(with([](Members& m) { m[0].checksum_error = 1; }), "data.pkl"));
  EXPECT_TRUE(says(with([](Members& m) { m[3].checksum_error = 1; }), "data/10"));
  EXPECT_TRUE(says(with([](Members& m) { m[0].bytes += "more"; }), "4 bytes follow"));
  EXPECT_TRUE(says(with([](Members& m) { m[0].method = 8; }), "compressed"));
  EXPECT_TRUE(says(with([](Members& m) { m[0].flags = 1; }), "encrypted"));
  EXPECT_TRUE(says(with([](Members& m) { m[1].bytes = "big"; }), "byteorder"));
  EXPECT_TRUE(says(with([](Members& m) { m[0].name = "archive/other.pkl"; }), "no data.pkl"));
  EXPECT_TRUE(says(with([](Members& m) { m.erase(m.begin() + 2); }), "data/1: is missing"));
  EXPECT_TRUE(says(with([](Members& m) { m[2].bytes += "1234"; }), "44 bytes instead of 40"));
  EXPECT_TRUE(says(with([](Members& m) { m.push_back(m[2]); }), "one name"));
  with([](Members& m) {  // two names for the same bytes, as in archives that unpack to much
    ZipMember other = m[0];
    other.name = "archive/data/9", other.at = 0;
    m.push_back(other);
  });
  EXPECT_TRUE(says(with([](Members& m) { m.push_back({"../../etc/x", ""}); }), "outside"));
  EXPECT_TRUE(says(with([](Members& m) { m.push_back({"/etc/x", ""}); }), "outside"));
  EXPECT_TRUE(says(with([](Members& m) {
                     m.push_back({"archive/constants.pkl", ""});
                   }),
                   "TorchScript"));
  for (int64_t size : {int64_t(8), int64_t(1) << 30, (int64_t(1) << 31) + 5}) {
    with([&](Members& m) { m[2].declared = size; });
    with([&](Members& m) { m[2].declared = size, m[2].zip64 = true; });
  }
  with([](Members& m) { m[2].declared = INT64_MAX, m[2].zip64 = true; });
}

// The last 22 bytes say where the directory is and how long (APPNOTE 6.3.9, 4.3.16).
TEST(TorchZip, ADirectoryBehindTheEndIsRefused) {
  Sample s;
  const std::string good = zip_of(torch_members(py::ordered(s.entries()), s.storages()));
  const size_t end = good.size() - 22;
  ASSERT_EQ(good.substr(end, 4), "PK\x05\x06");
  for (size_t field : {12, 16})  // its length, its place
    for (uint32_t wrong : {uint32_t(good.size()), uint32_t(good.size() - 4), 0x7fffffffu, ~0u}) {
      std::string bytes = good;
      std::memcpy(&bytes[end + field], &wrong, sizeof wrong);
      EXPECT_FALSE(refused(bytes).empty()) << field << " " << wrong;
    }
}

TEST(TorchFile, EveryPrefixIsAnError) {
  Scratch dir;
  for (const auto& [form, whole] : every_form()) {
    SCOPED_TRACE(form);
    bool tar = std::string(form) == "tar";
    for (size_t n = 0; n < whole.size() - (tar ? 1024 + 512 : 0); ++n) {
      spill(dir / "cut", whole.substr(0, n));
      error_of([&] { read_torch_file(dir / "cut"); });
    }
  }
}

TEST(TorchFile, EveryFlipIsAnErrorOrLoads) {
  Scratch dir;
  for (const auto& [form, whole] : every_form()) {
    bool checked = std::string(form) == "zip";  // the only form with checksums
    for (size_t at = 0; at < whole.size(); ++at)
      for (int bit : {0, 3, 7}) {
        std::string bytes = whole;
        bytes[at] = char(bytes[at] ^ (1 << bit));
        spill(dir / "flip", bytes);
        try {
          TensorMap tensors = read_torch_file(dir / "flip").tensors;
          EXPECT_TRUE(!checked || same(tensors, expected_of_sample())) << form << " byte " << at;
        } catch (const Error& e) {
          EXPECT_EQ(int(e.fault), int(Fault::data)) << e.what();
          EXPECT_TRUE(says(e.what(), "flip")) << e.what();
        }
      }
  }
}

TEST(TorchFile, SaysWhatOtherFilesAre) {
  EXPECT_TRUE(
      says(refused("version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git-LFS"));
  EXPECT_TRUE(says(refused("<!DOCTYPE html><html></html>"), "web page"));
  EXPECT_TRUE(says(refused(""), "empty"));
  EXPECT_TRUE(says(refused(std::string("\x80\x02}q\x00.", 6)), "none by torch.save"));
  EXPECT_TRUE(says(refused(tar_of({{"a.txt", "hello"}})), "has no storages"));
  EXPECT_TRUE(says(refused(zip_of({{"metadata.json", "{}"}})), "no data.pkl"));
  error_of([] { read_torch_file("/nowhere/f.pth"); }, Fault::no_input);
}

const char* real_data() { return std::getenv("GRAFT_TEST_DATA"); }

TEST(TorchFile, RealFilesAgreeWithSafetensors) {
  if (!real_data()) GTEST_SKIP() << "GRAFT_TEST_DATA names no folder with real weights";
  fs::path folder = fs::path(real_data()) / "weights/squeezenet1_1";
  TensorMap expected = read_tensors(folder / "squeezenet1_1.safetensors");
  EXPECT_EQ(expected.size(), 52u);
  for (const char* name : {"squeezenet1_1.pth", "squeezenet1_1_legacy.pth"})
    EXPECT_TRUE(same(read_tensors(folder / name), expected)) << name;
}

TEST(TorchFile, RealCheckpointOfOldTimes) {
  if (!real_data()) GTEST_SKIP() << "GRAFT_TEST_DATA names no folder with real weights";
  TorchFile file = read_torch_file(fs::path(real_data()) / "weights/cifar/resnet20-12fca82f.th");
  EXPECT_EQ(file.tensors.size(), 97u);
  EXPECT_EQ(file.tensors.at("conv1.weight").shape(), (Shape{16, 3, 3, 3}));
  EXPECT_EQ(file.tensors.at("linear.weight").shape(), (Shape{10, 64}));
  EXPECT_EQ(file.skipped, std::vector<std::string>{"best_prec1 (a number)"});
}

}  // namespace
}  // namespace graft::test
