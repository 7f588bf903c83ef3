// Writes small valid files to begin with: seeds FOLDER makes FOLDER/<target>/<name>.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "io/safetensors.h"
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

void write_seeds(const fs::path& folder) {
  for (const auto& [form, bytes] : every_form()) write(folder / "torch_file" / form, bytes);
  Sample s;
  write(folder / "torch_file/checkpoint", torch_legacy(checkpoint(), s.storages()));
  write(folder / "pickle/state", py::pickle(py::ordered(s.entries())));
  write(folder / "pickle/checkpoint", py::pickle(checkpoint()));
  write(folder / "pickle/calls", py::pickle(every_call()));
  fs::create_directories(folder / "safetensors");
  write_safetensors(folder / "safetensors/tensors", tensors(), {{"format", "pt"}});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return std::puts("usage: seeds FOLDER"), 64;
  write_seeds(argv[1]);
}
