#include "io/keras_file.h"

#include <zip.h>

#include <functional>

#include "tests/io_scratch.h"
#include "tests/keras_files.h"

namespace graft::test {
namespace {

// "conv: kernel 1, bias 2" with the first value of each weight.
std::string shown(const KerasFile& file) {
  std::string text;
  for (const KerasLayer& layer : file.layers) {
    text += (text.empty() ? "" : "; ") + layer.name + ":";
    for (const KerasWeight& w : layer.weights)
      text += fmt::format(" {}={}", w.name, w.values.data()[0]);
  }
  return text;
}

KerasFile made(const Scratch& dir, const std::function<void(KerasMaker&)>& fill) {
  { KerasMaker maker(dir / "k.h5"); fill(maker); }
  EXPECT_TRUE(is_keras_file(dir / "k.h5"));
  return read_keras_file(dir / "k.h5");
}

std::string refused(const Scratch& dir, const std::function<void(KerasMaker&)>& fill) {
  { KerasMaker maker(dir / "k.h5"); fill(maker); }
  std::string message = error_of([&] { read_keras_file(dir / "k.h5"); });
  EXPECT_EQ(message.find('\n'), message.npos) << message;
  EXPECT_NE(message.find("k.h5"), message.npos) << message;
  return message;
}

TEST(Keras, OrderIsThatOfWeightNames) {  // HDF5 would say beta, gamma, ...
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.names("/", "layer_names", {"z_conv", "bn", "none"}).layer("/", "z_conv", {"k", "b"});
    m.layer("/", "bn", kNorm).group("/none").empty_floats("/none", "weight_names");
  });
  EXPECT_EQ(shown(file), "z_conv: k=1 b=2; bn: bn/gamma:0=1 bn/beta:0=2 bn/moving_mean:0=3 "
                         "bn/moving_variance:0=4");
  EXPECT_TRUE(file.backend.empty() && file.skipped.empty());
}

TEST(Keras, NamesOfAllKinds) {
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.names("/", "layer_names", {"block1_conv1", "fire2/squeeze1x1"}, /*varying=*/true);
    m.layer("/", "block1_conv1", {"block1_conv1_W_1:0", "block1_conv1_b_1:0"});
    m.layer("/", "fire2/squeeze1x1", {"uniform2", "fire2/squeeze1x1_b"});
    m.text("/", "backend", "tensorflow");
  });
  EXPECT_EQ(shown(file), "block1_conv1: block1_conv1_W_1:0=1 block1_conv1_b_1:0=2; "
                         "fire2/squeeze1x1: uniform2=1 fire2/squeeze1x1_b=2");
  EXPECT_EQ(file.backend, "tensorflow");
}

TEST(Keras, SplitLists) {
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.names("/", "layer_names0", {"a"}).names("/", "layer_names1", {"b"});
    m.layer("/", "a", {"w"}).layer("/", "b", {"w"});
  });
  EXPECT_EQ(shown(file), "a: w=1; b: w=1");
}

TEST(Keras, WholeModelsAndTheirOptimizer) {
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.group("/model_weights").names("/model_weights", "layer_names", {"bn"});
    m.layer("/model_weights/", "bn", kNorm).text("/model_weights", "backend", "theano");
    m.tensor("/optimizer_weights/sgd/m:0", {2}, 9).tensor("/optimizer_weights/sgd/v:0", {2}, 9);
    m.text("/", "model_config", "{\"class_name\": \"Lambda\"}");
  });
  EXPECT_EQ(file.layers.size(), 1u);
  EXPECT_EQ(file.backend, "theano");
  EXPECT_EQ(file.skipped, std::vector<std::string>{"optimizer_weights (2 datasets)"});
}

TEST(Keras, NestedModelsPartlyFrozen) {  // what learns of all layers comes first
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.names("/", "layer_names", {"vgg16"});
    m.layer("/", "vgg16", {"bn/gamma:0", "bn/beta:0", "b/c2/kernel:0", "c1/kernel:0", "c1/bias:0",
                           "bn/moving_mean:0", "bn/moving_variance:0"});
  });
  EXPECT_EQ(shown(file), "bn: bn/gamma:0=1 bn/beta:0=2 bn/moving_mean:0=6 bn/moving_variance:0=7; "
                         "b/c2: b/c2/kernel:0=3; c1: c1/kernel:0=4 c1/bias:0=5");
}

TEST(Keras, TheOldestForm) {
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.number("/", "nb_layers", 3).number("/layer_0", "nb_params", 0);
    m.number("/layer_1", "nb_params", 2).number("/layer_2", "nb_params", 1);
    m.tensor("/layer_1/param_0", {2}, 1).tensor("/layer_1/param_1", {2}, 2);
    m.tensor("/layer_2/param_0", {2}, 3);
  });
  EXPECT_EQ(shown(file), "layer_1: param_0=1 param_1=2; layer_2: param_0=3");
}

TEST(Keras, Keras3NumbersByClass) {
  Scratch dir;
  KerasFile file = made(dir, keras3);
  ASSERT_EQ(file.layers.size(), 5u);
  for (auto [i, name] : {std::pair(0, "conv2d"), {1, "conv2d_1"}, {2, "conv2d_2"}, {3, "conv2d_10"}})
    EXPECT_EQ(file.layers[i].name, name);
  EXPECT_EQ(file.layers[4].weights[10].values.data()[0], 10);
  EXPECT_EQ(file.skipped, (std::vector<std::string>{"layers (1 dataset)", "optimizer (1 dataset)"}));
}

TEST(Keras, Keras3Names) {
  Scratch dir;
  KerasFile file = made(dir, [](KerasMaker& m) {
    m.tensor("/_layer_checkpoint_dependencies/conv2d/vars/0", {2}, 1);
    m.text("/_layer_checkpoint_dependencies/conv2d/vars", "name", "block1_conv1");
  });
  EXPECT_EQ(shown(file), "block1_conv1: vars/0=1");
}

void pack(const fs::path& path, const std::vector<std::pair<std::string, std::string>>& members) {
  fs::remove(path);
  zip_t* archive = zip_open(path.c_str(), ZIP_CREATE, nullptr);
  for (auto& [name, bytes] : members) {
    zip_int64_t at = zip_file_add(archive, name.c_str(),
                                  zip_source_buffer(archive, bytes.data(), bytes.size(), 0), 0);
    zip_set_file_compression(archive, zip_uint64_t(at), ZIP_CM_STORE, 0);
  }
  zip_close(archive);
}

TEST(Keras, ArchivesNameTheirLayers) {
  Scratch dir;
  { KerasMaker maker(dir / "k.h5"); keras3(maker); }
  std::string config = R"({"class_name": "Functional", "config": {"layers": [
    {"class_name": "InputLayer", "config": {"name": "in"}},
    {"class_name": "Conv2D", "config": {"name": "stem"}},
    {"class_name": "Lambda", "config": {"name": "evil", "function": "import os"}},
    {"class_name": "Conv2D", "config": {"name": "second"}},
    {"class_name": "Dense", "config": {"name": "head"}}]}})";
  pack(dir / "m.keras", {{"metadata.json", "{}"}, {"config.json", config},
                         {"model.weights.h5", slurp(dir / "k.h5")}});
  ASSERT_TRUE(is_keras_file(dir / "m.keras"));
  KerasFile file = read_keras_file(dir / "m.keras");
  EXPECT_EQ(file.layers[0].name, "stem");
  EXPECT_EQ(file.layers[1].name, "second");
  EXPECT_EQ(file.layers[4].name, "head");
  pack(dir / "none.keras", {{"metadata.json", "{}"}, {"config.json", config}});
  std::string message = error_of([&] { read_keras_file(dir / "none.keras"); });
  EXPECT_NE(message.find("model.weights.h5"), message.npos) << message;
  pack(dir / "bad.keras", {{"metadata.json", "{}"}, {"config.json", "{"}, {"model.weights.h5", ""}});
  error_of([&] { read_keras_file(dir / "bad.keras"); });
}

TEST(Keras, FilesThatContradictThemselves) {
  Scratch dir;
  auto says = [&](const char* word, const std::function<void(KerasMaker&)>& fill) {
    std::string message = refused(dir, fill);
    EXPECT_NE(message.find(word), message.npos) << message;
  };
  says("lacks layer_names", [](KerasMaker& m) { m.text("/", "keras_version", "2.4.0"); });
  says("no group", [](KerasMaker& m) { m.names("/", "layer_names", {"gone"}); });
  says("no dataset", [](KerasMaker& m) {
    m.names("/", "layer_names", {"a"}).group("/a").names("/a", "weight_names", {"w"});
  });
  says("two weights", [](KerasMaker& m) {
    m.names("/", "layer_names", {"a", "a"}).layer("/", "a", {"w"});
  });
  says("lacks layer_1", [](KerasMaker& m) {
    m.number("/", "nb_layers", 2).number("/layer_0", "nb_params", 0);
  });
  says("another file", [](KerasMaker& m) {
    m.names("/", "layer_names", {"a"}).layer("/", "a", {"w"});
    H5Lcreate_external("/etc/passwd", "/x", m.id(), "out", H5P_DEFAULT, H5P_DEFAULT);
  });
  says("soft link", [](KerasMaker& m) {
    m.names("/", "layer_names", {"a"});
    H5Lcreate_soft("/b", m.id(), "a", H5P_DEFAULT, H5P_DEFAULT);
  });
}

TEST(Keras, WeightsKeptInOtherWaysAreToldWhatToDo) {
  Scratch dir;
  for (const char* member : {"model.weights.json", "model.weights.npz", "none"}) {
    pack(dir / "m.keras", {{"metadata.json", "{}"}, {"config.json", "{}"}, {member, "{}"}});
    std::string message = error_of([&] { read_keras_file(dir / "m.keras"); });
    EXPECT_EQ(message.find('\n'), message.npos);
    EXPECT_NE(message.find("save_weights(\"NAME.weights.h5\")"), message.npos) << message;
    bool named = message.find(member) != message.npos;
    EXPECT_EQ(named, std::string(member) != "none") << message;
  }
}

// Keras 3 stores bfloat16 as bytes without a type, and says in an attribute what they are.
TEST(Keras, Keras3BrainFloats) {
  Scratch dir;
  auto fill = [](KerasMaker& m, const char* dtype) {
    const uint16_t bits[2] = {0x3fc0, 0xc000};
    hsize_t n = 2;
    m.group("/layers/dense/vars");
    hid_t type = H5Tcreate(H5T_OPAQUE, 2), space = H5Screate_simple(1, &n, nullptr);
    hid_t set = H5Dcreate2(m.id(), "/layers/dense/vars/0", type, space, H5P_DEFAULT, H5P_DEFAULT,
                           H5P_DEFAULT);
    H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, bits);
    H5Dclose(set), H5Sclose(space), H5Tclose(type);
    m.names("/layers/dense/vars/0", "dtype", {dtype}, /*varying=*/true);
  };
  KerasFile file = made(dir, [&](KerasMaker& m) { fill(m, "bfloat16"); });
  Tensor values = file.layers.at(0).weights.at(0).values;
  EXPECT_EQ(values.dtype(), DType::bf16);
  EXPECT_EQ(values.to(DType::f32).data()[0], 1.5f);
  EXPECT_EQ(values.to(DType::f32).data()[1], -2.f);
  std::string message = refused(dir, [&](KerasMaker& m) { fill(m, "float8_e4m3fn"); });
  EXPECT_NE(message.find("save it as 32-bit float"), message.npos) << message;
}

// Small files of every form: what damage makes of them.
std::vector<std::pair<const char*, std::string>> every_form(const Scratch& dir) {
  auto bytes = [&](const std::function<void(KerasMaker&)>& fill) {
    { KerasMaker maker(dir / "k.h5"); fill(maker); }
    return slurp(dir / "k.h5");
  };
  std::string weights = bytes([](KerasMaker& m) { m.tensor("/layers/conv2d/vars/0", {2}, 1); });
  std::string config = R"({"config": {"layers": [{"class_name": "Conv2D", "config": {"name": "a"}}]}})";
  pack(dir / "m.keras",
       {{"metadata.json", "{}"}, {"config.json", config}, {"model.weights.h5", weights}});
  return {{"legacy", bytes([](KerasMaker& m) {
             m.names("/", "layer_names", {"a"}).layer("/", "a", {"w"});
           })},
          {"weights", weights},
          {"archive", slurp(dir / "m.keras")}};
}

TEST(Keras, EveryPrefixIsAnError) {
  Scratch dir;
  for (const auto& [form, whole] : every_form(dir)) {
    SCOPED_TRACE(form);
    for (size_t n = 0; n < whole.size(); n += n < 512 ? kChildStride : 7 * kChildStride) {
      spill(dir / "cut", whole.substr(0, n));
      error_of([&] { read_keras_file(dir / "cut"); });
    }
  }
}

// The old format has no checksums: a flip is an error or another value.
TEST(Keras, EveryFlipIsAnErrorOrLoads) {
  Scratch dir;
  for (const auto& [form, whole] : every_form(dir))
    for (size_t at = 0; at < whole.size(); at += kChildStride) {
      std::string bytes = whole;
      bytes[at] = char(bytes[at] ^ (1 << at % 8));
      spill(dir / "flip", bytes);
      try {
        read_keras_file(dir / "flip");
      } catch (const Error& e) {
        EXPECT_EQ(int(e.fault), int(Fault::data)) << form << " byte " << at << ": " << e.what();
        EXPECT_NE(std::string(e.what()).find("flip"), std::string::npos) << e.what();
      }
    }
}

}  // namespace
}  // namespace graft::test
