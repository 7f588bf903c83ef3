// Writes small valid files for the fuzz targets to begin with: fuzz_seeds FOLDER makes
// FOLDER/<target>/<name>.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "io/checkpoint.h"
#include "io/safetensors.h"
#include "tests/hdf5_files.h"
#include "tests/keras_files.h"
#include "tests/small_model.h"
#include "tests/torch_sample.h"

namespace {

namespace fs = std::filesystem;
using namespace graft;
using namespace graft::test;

void write(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string checkpoint() {
  Sample s;
  std::string args = py::global("argparse", "Namespace") + ")\x81" + py::dict({}) + "b";
  return py::dict(
      {{"epoch", py::number(3)}, {"state_dict", py::ordered(s.entries())}, {"args", args}});
}

std::string every_call() {
  Sample s;
  std::string tensor = py::tensor(s.matrix, 0, {2, 3}, {3, 1});
  std::string parameter =
      py::call(py::global("torch._utils", "_rebuild_parameter"), {tensor, py::yes(), py::none()});
  std::string arguments = py::tuple({py::storage(s.matrix), py::number(0), py::numbers({6}),
                                     py::numbers({1}), py::yes(), py::none()});
  std::string typed = py::call(py::global("torch._tensor", "_rebuild_from_type_v2"),
                               {py::global("torch._utils", "_rebuild_tensor_v2"),
                                py::global("torch", "Tensor"), arguments, py::dict({})});
  std::string pairs = py::list(
      {py::list({py::old_text("p"), parameter}), py::list({py::kept(py::text("t"), 1), typed})});
  return py::call(py::global("collections", "OrderedDict"), {pairs}) +
         py::dict({{"_metadata", py::recalled(1)}}) + "b";
}

TensorMap tensors() {
  TensorMap t;
  t["a.weight"] = Tensor::full({2, 3}, 0.5f);
  t["half"] = Tensor::full({3}, -2).to(DType::f16);
  t["steps"] = Tensor::zeros({}, DType::i64);
  t["none"] = Tensor::zeros({0, 4});
  return t;
}

void write_torch(const fs::path& folder) {
  for (const auto& [form, bytes] : every_form()) write(folder / "torch_file" / form, bytes);
  Sample s;
  write(folder / "torch_file/checkpoint", torch_legacy(checkpoint(), s.storages()));
  write(folder / "pickle/state", py::pickle(py::ordered(s.entries())));
  write(folder / "pickle/checkpoint", py::pickle(checkpoint()));
  write(folder / "pickle/calls", py::pickle(every_call()));
}

void write_archives(const fs::path& folder) {
  Sample s;
  write(folder / "zip/torch", torch_zip(py::ordered(s.entries()), s.storages()));
  write(folder / "zip/small", zip_of({{"a", "1", false}, {"b/c", "", true}, {"d", "23", false, true}}));
  write(folder / "zip/none", zip_of({}));
  write(folder / "tar/torch", sample_in_tar());
  write(folder / "tar/small", tar_of({{"a", "1"}, {"b/c", ""}}));
}

void write_models(const fs::path& folder) {
  fs::create_directories(folder / "model_file");
  write_model_file(folder / "model_file/model", small_model());
  Checkpoint c{.model = small_model()};
  c.optimizer["momentum/fc.weight"] = counted({2, 2});
  c.text["options"] = "--lr 0.1";
  c.integers["step"] = 7;
  c.numbers["best"] = 0.5;
  c.history = {"{\"epoch\": 1}"};
  write_checkpoint(folder / "model_file/checkpoint", c);
}

hid_t layout(H5D_layout_t kind) {
  hid_t create = H5Pcreate(H5P_DATASET_CREATE);
  hsize_t chunk = 2;
  kind == H5D_CHUNKED ? H5Pset_chunk(create, 1, &chunk) : H5Pset_layout(create, kind);
  return create;
}

void every_element(hid_t file) {
  const float values[3] = {1, -2.5f, 3};
  const std::pair<const char*, hid_t> types[] = {{"f32", H5T_IEEE_F32BE}, {"f64", H5T_IEEE_F64LE},
                                                 {"i8", H5T_STD_I8LE},    {"u16", H5T_STD_U16LE},
                                                 {"u32", H5T_STD_U32BE},  {"i64", H5T_STD_I64LE}};
  for (auto [name, type] : types) dataset(file, name, type, {3}, values, H5T_NATIVE_FLOAT);
  for (auto [name, kind] : {std::pair("compact", H5D_COMPACT), std::pair("chunked", H5D_CHUNKED)})
    dataset(file, name, H5T_IEEE_F32LE, {3}, values, H5T_NATIVE_FLOAT, layout(kind));
  const char* texts[2] = {"one", "two"};
  hid_t varying = H5Tcopy(H5T_C_S1), fixed = H5Tcopy(H5T_C_S1);
  H5Tset_size(varying, H5T_VARIABLE), H5Tset_size(fixed, 4);
  dataset(file, "varying", varying, {2}, texts, varying);
  dataset(file, "fixed", fixed, {2}, "ab\0cdef", fixed);
}

void write_hdf5(const fs::path& folder) {
  fs::create_directories(folder / "hdf5");
  make(folder / "hdf5/elements", every_element);
  make(folder / "hdf5/one", [](hid_t f) {
    dataset(f, "x", H5T_IEEE_F32LE, {1}, bytes_of(1.0f).data(), H5T_NATIVE_FLOAT);
  });
  KerasMaker attributes(folder / "hdf5/attributes");
  attributes.names("/a/b/c", "fixed", {"one", "three"}).names("/a", "varying", {"x", ""}, true);
  attributes.number("/a/b", "n", -1).empty_floats("/a", "none").tensor("/a/b/t", {2, 1, 1}, 1);
}

std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void legacy(KerasMaker& m, const std::string& root) {
  m.group(root).names(root, "layer_names", {"z", "bn"}).text(root, "backend", "tensorflow");
  std::string below = root == "/" ? root : root + "/";
  m.layer(below, "z", {"k", "b"}).layer(below, "bn", kNorm);
}

void write_keras(const fs::path& folder) {
  fs::path keras = folder / "keras";
  fs::create_directories(keras);
  { KerasMaker m(keras / "legacy"); legacy(m, "/"); }
  { KerasMaker m(keras / "whole"); legacy(m, "/model_weights"); m.text("/", "keras_version", "2"); }
  { KerasMaker m(keras / "nested");
    m.names("/", "layer_names0", {"vgg"}, /*varying=*/true);
    m.layer("/", "vgg", {"c1/k:0", "c1/b:0", "c2/k:0"}); }
  { KerasMaker m(keras / "oldest");
    m.number("/", "nb_layers", 1).number("/layer_0", "nb_params", 1).tensor("/layer_0/param_0", {2}, 1); }
  { KerasMaker m(keras / "weights");
    m.tensor("/layers/conv2d/vars/0", {2}, 1).tensor("/layers/conv2d/vars/1", {1}, 1);
    m.text("/layers/conv2d/vars", "name", "stem"); }
  std::string config = R"({"class_name": "Functional", "config": {"layers": [
    {"class_name": "Conv2D", "config": {"name": "stem"}}, {"class_name": "Functional",
     "config": {"name": "in", "layers": [{"class_name": "Dense", "config": {"name": "d"}}]}}]}})";
  write(keras / "archive", zip_of({{"metadata.json", "{}", false},
                                   {"config.json", config, false},
                                   {"model.weights.h5", slurp(keras / "weights"), false}}));
}

void write_seeds(const fs::path& folder) {
  write_torch(folder);
  write_archives(folder);
  write_models(folder);
  write_hdf5(folder);
  write_keras(folder);
  fs::create_directories(folder / "safetensors");
  write_safetensors(folder / "safetensors/tensors", tensors(), {{"format", "pt"}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::puts("usage: fuzz_seeds FOLDER"), 64;
  write_seeds(argv[1]);
}
