// One state dict that has everything in it that a reader may stumble on, in the three forms.
#pragma once
#include "tests/torch_files.h"

namespace graft::test {

template <class T>
py::Storage storage(const std::string& key, const std::string& kind, const std::vector<T>& values) {
  return {key, kind, int64_t(values.size()), bytes_of(values)};
}

inline std::vector<float> counting(size_t n, float first) {
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) values[i] = first + 0.37f * float(i);
  return values;
}

// Two floats' storages, one of them under three names, and scalars of other types.
struct Sample {
  py::Storage matrix = storage("3", "FloatStorage", counting(6, 1));
  py::Storage vector = storage("1", "FloatStorage", counting(10, -2));
  py::Storage steps = storage<int64_t>("10", "LongStorage", {int64_t(1) << 40});
  py::Storage half = storage<uint16_t>("0", "HalfStorage", {0x3c00, 0xc000});
  py::Storage brain = storage<uint16_t>("2", "BFloat16Storage", {0x3f80, 0xc000, 0x4040});

  Storages storages() const { return {vector, steps, matrix, half, brain}; }

  py::Dict entries() const {
    return {{"module.matrix", py::tensor(matrix, 0, {2, 3}, {3, 1})},
            {"turned", py::tensor(matrix, 0, {3, 2}, {1, 3})},
            {"tied", py::old_tensor(matrix, 0, {2, 3}, {3, 1})},
            {"part", py::tensor(vector, 3, {4}, {1})},
            {"every_other", py::tensor(vector, 1, {2, 2}, {4, 2})},
            {"steps", py::tensor(steps, 0, {}, {})},
            {"half", py::tensor(half, 0, {2}, {1})},
            {"_orig_mod.module.brain", py::tensor(brain, 0, {3, 1}, {1, 1})},
            {"none", py::tensor(vector, 10, {0, 4}, {4, 1})}};
  }
};

inline std::string sample_in_tar() {
  Sample s;
  std::vector<OldTensor> tensors{{100, 3, 0, {2, 3}, {3, 1}}, {101, 3, 0, {3, 2}, {1, 3}},
                                 {102, 77, 1, {4}, {1}},      {103, 1, 1, {2, 2}, {4, 2}},
                                 {104, 10, 0, {}, {}},        {105, 0, 0, {2}, {1}},
                                 {106, 2, 0, {3, 1}, {1, 1}}, {107, 1, 10, {0, 4}, {4, 1}}};
  const char* names[] = {"module.matrix", "turned", "part",  "every_other",
                         "steps",         "half",   "brain", "none"};
  py::Dict entries{{"tied", py::persistent(py::text("100"))}};
  for (size_t i = 0; i < tensors.size(); ++i)
    entries.emplace_back(names[i], py::persistent(py::number(tensors[i].key)));
  py::List views{py::tuple({py::number(77), py::number(1), py::number(2), py::number(5)})};
  return torch_tar(py::ordered(entries), s.storages(), tensors, views);
}

inline std::vector<std::pair<const char*, std::string>> every_form() {
  Sample s;
  std::string object = py::ordered(s.entries());
  return {{"zip", torch_zip(object, s.storages())},
          {"legacy", torch_legacy(object, s.storages())},
          {"tar", sample_in_tar()}};
}

}  // namespace graft::test
