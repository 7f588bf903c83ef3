#include "io/keras_file.h"

#define H5_USE_110_API
#include <hdf5.h>
#include <zip.h>

#include <functional>

#include "io/hdf5.h"
#include "tests/io_scratch.h"

namespace graft::test {
namespace {

// A file made with the library itself: our writer has no lists of names.
class KerasMaker {
 public:
  explicit KerasMaker(const fs::path& path) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  }
  ~KerasMaker() { H5Fclose(file_); }

  KerasMaker& group(const std::string& path) {
    hid_t create = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(create, 1);
    if (path != "/" && H5Lexists(file_, path.c_str(), H5P_DEFAULT) <= 0)
      H5Gclose(H5Gcreate2(file_, path.c_str(), create, H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(create);
    return *this;
  }

  // Fixed-length strings without NUL where one is as long as the longest, as h5py writes them.
  KerasMaker& names(const std::string& path, const std::string& name,
                    const std::vector<std::string>& values, bool varying = false) {
    size_t width = 1;
    for (auto& value : values) width = std::max(width, value.size());
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, varying ? H5T_VARIABLE : width);
    if (!varying) H5Tset_strpad(type, H5T_STR_NULLPAD);
    std::string fixed(width * values.size(), '\0');
    std::vector<const char*> pointers;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i].copy(fixed.data() + i * width, width);
      pointers.push_back(values[i].c_str());
    }
    attribute(path, name, type, values.size(), varying ? (const void*)pointers.data() : fixed.data());
    H5Tclose(type);
    return *this;
  }

  KerasMaker& text(const std::string& path, const std::string& name, const std::string& value) {
    return names(path, name, {value});
  }
  KerasMaker& number(const std::string& path, const std::string& name, int64_t value) {
    attribute(path, name, H5T_NATIVE_INT64, 0, &value);
    return *this;
  }
  KerasMaker& empty_floats(const std::string& path, const std::string& name) {
    double none = 0;
    hsize_t zero = 0;
    hid_t space = H5Screate_simple(1, &zero, nullptr);
    in_space(path, name, H5T_NATIVE_DOUBLE, space, &none);
    return *this;
  }

  KerasMaker& tensor(const std::string& path, std::vector<hsize_t> dims, float first) {
    group(fs::path(path).parent_path());
    size_t count = 1;
    for (hsize_t d : dims) count *= d;
    std::vector<float> values(count);
    for (size_t i = 0; i < values.size(); ++i) values[i] = first + float(i);
    hid_t space = H5Screate_simple(int(dims.size()), dims.data(), nullptr);
    hid_t set = H5Dcreate2(file_, path.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT,
                           H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set), H5Sclose(space);
    return *this;
  }

  // A layer of vectors that begin with 1, 2, 3, ...
  KerasMaker& layer(const std::string& root, const std::string& name,
                    const std::vector<std::string>& weights) {
    group(root + name);
    for (size_t i = 0; i < weights.size(); ++i)
      tensor(root + name + "/" + weights[i], {2}, float(i + 1));
    return names(root + name, "weight_names", weights);
  }
  hid_t id() const { return file_; }

 private:
  void attribute(const std::string& path, const std::string& name, hid_t type, size_t count,
                 const void* values) {
    hsize_t n = count;
    hid_t space = count ? H5Screate_simple(1, &n, nullptr) : H5Screate(H5S_SCALAR);
    in_space(path, name, type, space, values);
  }
  void in_space(const std::string& path, const std::string& name, hid_t type, hid_t space,
                 const void* values) {
    group(path);
    hid_t holder = H5Oopen(file_, path.c_str(), H5P_DEFAULT);
    hid_t id = H5Acreate2(holder, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
    EXPECT_GE(id, 0) << path << " " << name;
    H5Awrite(id, type, values);
    H5Aclose(id), H5Oclose(holder), H5Sclose(space);
  }
  hid_t file_;
};

const std::vector<std::string> kNorm = {"bn/gamma:0", "bn/beta:0", "bn/moving_mean:0",
                                        "bn/moving_variance:0"};

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

void keras3(KerasMaker& m) {
  for (int k : {0, 1, 2, 10})
    m.tensor("/layers/conv2d" + (k ? fmt::format("_{}", k) : "") + "/vars/0", {2}, float(k));
  for (int i = 0; i < 12; ++i) m.tensor(fmt::format("/layers/dense/vars/{}", i), {2}, float(i));
  m.tensor("/layers/dropout/seed_generator/vars/0", {2}, 0).tensor("/optimizer/vars/0", {2}, 0);
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

}  // namespace
}  // namespace graft::test
