#include <optional>

#include "io/pickle.h"
#include "tests/io_scratch.h"
#include "tests/torch_files.h"

namespace graft::test {
namespace {

using Kind = Pickle::Kind;

Pickle parse(const std::string& bytes) {
  ByteStream stream = ByteStream::of("f.pth", bytes);
  Pickle pickle = Pickle::read(stream);
  EXPECT_EQ(stream.left(), 0);
  return pickle;
}

std::string refused(const std::string& bytes) {
  return error_of([&] { parse(bytes); });
}

TEST(Pickle, ReadsEveryKindOfValue) {
  std::string protocol4 = "\x95" + std::string(8, '\x7f') + "\x8c\x01z\x94";
  Pickle p = parse(py::pickle(py::list({py::none(),
                                        py::yes(),
                                        "\x89",
                                        py::number(-5),
                                        "K\xff",
                                        std::string("M\x01\x02"),
                                        py::number(int64_t(1) << 40),
                                        py::real(),
                                        py::text("é"),
                                        py::old_text("old"),
                                        py::global("os", "system"),
                                        py::tuple({py::number(1)}),
                                        "N\x85",
                                        "NN\x86",
                                        "NNN\x87",
                                        "(NNd",
                                        "(Nl",
                                        "\x8f(N\x90",
                                        "]Na",
                                        "}NNs",
                                        py::kept(py::text("kept"), 7),
                                        py::recalled(7),
                                        std::string("\x8a\x00", 2),
                                        std::string("\x8a\x01\xfe", 3),
                                        std::string("\x8a\x09") + std::string(9, '\x01'),
                                        protocol4,
                                        "B\x01" + std::string(3, '\0') + "b",
                                        "\x8c\x01m\x8c\x01n\x93"})));
  auto items = p.items(p.root());
  const Kind kinds[] = {Kind::none,    Kind::boolean, Kind::boolean, Kind::integer, Kind::integer,
                        Kind::integer, Kind::integer, Kind::real,    Kind::text,    Kind::text,
                        Kind::global,  Kind::tuple,   Kind::tuple,   Kind::tuple,   Kind::tuple,
                        Kind::dict,    Kind::list,    Kind::set,     Kind::list,    Kind::dict,
                        Kind::text,    Kind::text,    Kind::integer, Kind::integer, Kind::wide,
                        Kind::text,    Kind::text,    Kind::global};
  ASSERT_EQ(items.size(), std::size(kinds));
  for (size_t i = 0; i < items.size(); ++i) EXPECT_EQ(int(p.kind(items[i])), int(kinds[i])) << i;
  EXPECT_EQ(p.integer(items[3]), -5);
  EXPECT_EQ(p.integer(items[4]), 255);
  EXPECT_EQ(p.integer(items[5]), 513);
  EXPECT_EQ(p.integer(items[6]), int64_t(1) << 40);
  EXPECT_EQ(p.integer(items[22]), 0);
  EXPECT_EQ(p.integer(items[23]), -2);
  EXPECT_EQ(p.text(items[8]), "é");
  EXPECT_EQ(p.text(items[9]), "old");
  EXPECT_EQ(p.text(items[10]), "os.system");
  EXPECT_EQ(p.items(items[14]).size(), 3u);
  EXPECT_EQ(items[20], items[21]);
  EXPECT_EQ(p.text(items[27]), "m.n");
}

TEST(Pickle, CallsAreRecordsOnly) {
  Pickle p = parse(py::pickle(py::call(py::global("posix", "system"), {py::text("touch x")}) +
                              py::dict({{"state", py::none()}}) + "b"));
  EXPECT_EQ(int(p.kind(p.root())), int(Kind::call));
  EXPECT_EQ(p.text(p.function(p.root())), "posix.system");
  EXPECT_EQ(p.text(p.items(p.arguments(p.root()))[0]), "touch x");
  EXPECT_EQ(int(p.kind(p.state(p.root()))), int(Kind::dict));
  EXPECT_EQ(p.describe(p.root()), "an object of posix.system");
}

TEST(Pickle, ContainersMayHoldThemselves) {
  Pickle p = parse(py::pickle(py::kept("]", 0) + py::recalled(0) + "a"));
  EXPECT_EQ(p.items(p.root())[0], p.root());
}

TEST(Pickle, RefusesWhatDoesNotFitTheStack) {
  const std::string open = "\x80\x02";
  for (const char* bytes :
       {".",      "N",     "NN.",   "t.",      "(t",     "u.",      "}(Nu.", "e.", "N(Ne.",
        "a.",     "]a.",   "s.",    "}Ns.",    "R.",     "NR.",     "(NNR.", "b.", "Nb.",
        "]Nb.",   "Q.",    "(Q.",   "\x85.",   "N\x86.", "NN\x87.", "(N",    "(",  "h\x01.",
        "q\x01.", "\x81.", "\x93.", "NN\x93.", "\x90.",  "(Nd."})
    EXPECT_NE(refused(open + bytes).find("f.pth"), std::string::npos) << bytes;
}

TEST(Pickle, RefusesOtherOperations) {
  for (char operation : std::string("I LSV0P1i2og\x82\x83\x84\x8b\x8d\x8e\x91\x92\x96\x97\x98"))
    EXPECT_NE(refused("\x80\x02N" + std::string(1, operation) + ".").find("operation 0x"),
              std::string::npos)
        << operation;
  EXPECT_NE(refused(std::string("\x80\x01N.")).find("protocol"), std::string::npos);
  EXPECT_NE(refused(std::string("\x80\x06N.")).find("protocol"), std::string::npos);
}

TEST(Pickle, LimitsTextOperationsAndNames) {
  EXPECT_NE(refused("\x80\x02X\xff\xff\xff\x7fx.").find("text"), std::string::npos);
  EXPECT_NE(refused("\x80\x02" + std::string(900'000, 'N')).find("operations"), std::string::npos);
  EXPECT_NE(refused("\x80\x02" + std::string(900'000, '(')).find("operations"), std::string::npos);
  EXPECT_NE(refused("\x80\x02N" +
                    [] {
                      std::string puts;
                      for (uint32_t i = 0; i < 900'000; ++i) puts += "r" + bytes_of(i);
                      return puts;
                    }())
                .find("operations"),
            std::string::npos);
  EXPECT_NE(refused("\x80\x02"
                    "c" +
                    std::string(2000, 'x'))
                .find("name"),
            std::string::npos);
}

TEST(Pickle, DeepNestingCostsNoStack) {
  Pickle p = parse("\x80\x02N" + std::string(500'000, '\x85') + ".");
  EXPECT_EQ(p.size(), 500'001u);
}

TEST(Pickle, EveryPrefixIsAnErrorAndEveryFlipIsOrLoads) {
  std::string whole = py::pickle(py::ordered(
      {{"a", py::tensor({"0", "FloatStorage", 2, ""}, 0, {2}, {1})}, {"b", py::list({"N"})}}));
  for (size_t n = 0; n < whole.size(); ++n) refused(whole.substr(0, n));
  for (size_t at = 0; at < whole.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      std::string bytes = whole;
      bytes[at] = char(bytes[at] ^ (1 << bit));
      ByteStream stream = ByteStream::of("f", bytes);
      try {
        Pickle::read(stream);
      } catch (const Error& e) {
        EXPECT_EQ(int(e.fault), int(Fault::data)) << e.what();
      }
    }
}

}  // namespace
}  // namespace graft::test
