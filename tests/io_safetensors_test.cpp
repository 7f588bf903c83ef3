#include <limits>

#include "io/safetensors.h"
#include "io/tensor_map.h"
#include "tests/io_scratch.h"

namespace graft::test {
namespace {

std::string file_of(const std::string& header, const std::string& buffer = "") {
  uint64_t length = header.size();
  return std::string(reinterpret_cast<char*>(&length), 8) + header + buffer;
}

std::string one(const std::string& dtype, const std::string& shape, const std::string& range) {
  return "{\"t\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + range +
         "}}";
}

TensorMap every_type() {
  TensorMap t;
  t["a.weight"] = counted({2, 3});
  t["half"] = counted({3}, -2).to(DType::f16);
  t["brain"] = counted({3}, 7).to(DType::bf16);
  t["bytes"] = counted({5}).to(DType::u8);
  t["int"] = counted({2}, -9).to(DType::i32);
  t["steps"] = counted({}, 100).to(DType::i64);
  t["none"] = Tensor::zeros({0, 4});
  return t;
}

TEST(Safetensors, RoundTripKeepsEveryBit) {
  Scratch dir;
  TensorMap tensors = every_type();
  write_safetensors(dir / "f", tensors, {{"format", "pt"}, {"é", "\n"}});
  Safetensors back = read_safetensors(dir / "f");
  EXPECT_TRUE(same(tensors, back.tensors));
  EXPECT_EQ(back.metadata.at("format"), "pt");
  EXPECT_TRUE(same(tensors, read_tensors(dir / "f")));
  write_safetensors(dir / "empty", {});
  EXPECT_TRUE(read_safetensors(dir / "empty").tensors.empty());
  EXPECT_EQ(dir.files(), 2u);
}

TEST(Safetensors, EveryPrefixIsAnError) {
  Scratch dir;
  write_safetensors(dir / "f", every_type());
  std::string whole = slurp(dir / "f");
  for (size_t n = 0; n < whole.size(); ++n) {
    spill(dir / "cut", whole.substr(0, n));
    error_of([&] { read_safetensors(dir / "cut"); });
    error_of([&] { read_tensors(dir / "cut"); });
  }
}

TEST(Safetensors, EveryFlipIsAnErrorOrLoads) {
  Scratch dir;
  write_safetensors(dir / "f", every_type());
  const std::string whole = slurp(dir / "f");
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int bit : {0, 1, 4, 7}) {
      std::string bytes = whole;
      bytes[at] = char(bytes[at] ^ (1 << bit));
      spill(dir / "flip", bytes);
      try {
        read_safetensors(dir / "flip");
      } catch (const Error& e) {
        EXPECT_EQ(int(e.fault), int(Fault::data)) << e.what();
      }
    }
  }
}

TEST(Safetensors, RefusesMalformedFiles) {
  Scratch dir;
  const std::string f = one("F32", "[2]", "[0,8]"), eight(8, 'x');
  const std::string open = "{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":";
  std::string long_header = file_of("{}");
  uint64_t huge = 100'000'001;
  std::memcpy(long_header.data(), &huge, 8);
  std::vector<std::pair<const char*, std::string>> bad = {
      {"header longer than the file", file_of("{}").substr(0, 9)},
      {"header above 100 MB", long_header},
      {"header of length 0", file_of("")},
      {"not an object", file_of("[1]")},
      {"space before {", file_of(" {}")},
      {"bad UTF-8",
       file_of("{\"\xff\xfe\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", "1234")},
      {"key twice", file_of("{\"t\":" + open + "[0,4]},\"t\":" + open + "[4,8]}}", eight)},
      {"negative offset", file_of(one("F32", "[2]", "[-8,0]"), eight)},
      {"fractional offset", file_of(one("F32", "[2]", "[0,8.0]"), eight)},
      {"hole", file_of("{\"a\":" + open + "[0,4]},\"b\":" + open + "[5,9]}}", "123456789")},
      {"hole at the start", file_of(one("F32", "[1]", "[4,8]"), eight)},
      {"overlap", file_of("{\"a\":" + open + "[0,4]},\"b\":" + open + "[2,6]}}", "123456")},
      {"begin after end", file_of(one("F32", "[2]", "[8,0]"), eight)},
      {"unknown type", file_of(one("F33", "[2]", "[0,8]"), eight)},
      {"unsupported type", file_of(one("U64", "[1]", "[0,8]"), eight)},
      {"type that is a number",
       file_of("{\"t\":{\"dtype\":5,\"shape\":[2],\"data_offsets\":[0,8]}}", eight)},
      {"shape and range differ", file_of(one("F32", "[3]", "[0,8]"), eight)},
      {"product overflow", file_of(one("F32", "[4294967296,4294967296]", "[0,0]"))},
      {"product overflow to 8", file_of(one("U8", "[9223372036854775807,2]", "[0,8]"), eight)},
      {"huge number", file_of(one("U8", "[99999999999999999999]", "[0,8]"), eight)},
      {"negative shape", file_of(one("F32", "[-1,-2]", "[0,8]"), eight)},
      {"1e5 nested arrays", file_of("{\"t\":" + std::string(100000, '['))},
      {"nested metadata", file_of("{\"__metadata__\":{\"a\":{\"b\":1}}}")},
      {"trailing bytes", file_of(f, eight + "y")},
      {"data missing", file_of(f, "1234")},
      {"field missing", file_of("{\"t\":{\"dtype\":\"F32\",\"shape\":[2]}}", eight)},
      {"field unknown",
       file_of("{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8],\"x\":1}}", eight)},
      {"garbage after the JSON", file_of(f + "x", eight)},
  };
  for (const auto& [what, bytes] : bad) {
    SCOPED_TRACE(what);
    spill(dir / "bad", bytes);
    std::string message = error_of([&] { read_safetensors(dir / "bad"); });
    EXPECT_NE(message.find("bad"), std::string::npos) << message;
  }
  spill(dir / "good", file_of(f + "   ", eight));
  EXPECT_EQ(read_safetensors(dir / "good").tensors.at("t").shape(), Shape{2});
}

TEST(Safetensors, OtherTypesAreWidenedByTheRule) {
  Scratch dir;
  double d[2] = {0.1, -3};
  int8_t i8[2] = {-5, 7};
  uint32_t u32[1] = {4'000'000'000u};
  auto load = [&](const char* dtype, const char* shape, const void* data, size_t n) {
    spill(dir / "f", file_of(one(dtype, shape, fmt::format("[0,{}]", n)),
                             std::string(static_cast<const char*>(data), n)));
    return read_safetensors(dir / "f").tensors.at("t");
  };
  EXPECT_EQ(load("F64", "[2]", d, 16).data()[0], 0.1f);
  EXPECT_EQ(load("I8", "[2]", i8, 2).data<int32_t>()[0], -5);
  EXPECT_EQ(load("U32", "[1]", u32, 4).data<int64_t>()[0], 4'000'000'000);
  EXPECT_EQ(load("BOOL", "[2]", "\0\1", 2).data<uint8_t>()[1], 1);
}

TEST(ReadTensors, SaysWhatOtherFilesAre) {
  Scratch dir;
  std::vector<std::pair<std::string, const char*>> others = {
      {"", "empty"},
      {"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-LFS"},
      {"\x1f\x8b\x08 more", "gzip"},
      {"PK\x03\x04 more", "zip"},
      {"\x80\x02}q more", "pickle"},
      {"\n <!DOCTYPE HTML><html>", "web page"},
      {"{\n  \"metadata\": {\"total_size\": 8},\n  \"weight_map\": {}}", "save them as one file"},
      {"GIF89a whatever", "no kind"},
  };
  for (const auto& [bytes, word] : others) {
    spill(dir / "f.h5", bytes);
    EXPECT_NE(error_of([&] { read_tensors(dir / "f.h5"); }).find(word), std::string::npos) << word;
    error_of([&] { read_model_file(dir / "f.h5"); });
    error_of([&] { read_safetensors(dir / "f.h5"); });
  }
}

TEST(TensorMap, NonFiniteValuesAreCountedByName) {
  TensorMap t = every_type();
  require_finite(t, "f");
  float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  t["bad"] = Tensor::from({4}, {1, inf, nan, -inf});
  t["half"] = t["bad"].to(DType::f16);
  t["brain"] = t["bad"].to(DType::bf16);
  EXPECT_EQ(count_nonfinite(t["bad"]), 3);
  std::string message = error_of([&] { require_finite(t, "f"); });
  for (const char* part : {"bad: 3 of 4", "half: 3 of 4", "brain: 3 of 4"})
    EXPECT_NE(message.find(part), std::string::npos) << message;
}

}  // namespace
}  // namespace graft::test
