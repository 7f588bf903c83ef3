#include "models/saved.h"

#include <cmath>

#include "core/autograd.h"
#include "core/random.h"
#include "io/tensor_map.h"
#include "models/zoo.h"

namespace graft {
namespace {

int64_t classes_in(const std::string& head, const TensorMap& tensors) {
  auto weight = tensors.find(head + ".weight");
  return weight == tensors.end() || weight->second.rank() == 0 ? 0 : weight->second.dim(0);
}

TensorMap tidied(const ZooRow& row, TensorMap tensors) {
  if (row.tidy) row.tidy(tensors);
  return tensors;
}

// Builds the row with as many classes as the tensors have; compares without copying.
LoadReport fit(const ZooRow& row, const TensorMap& published) {
  TensorMap tensors = tidied(row, published);
  auto model = row.build(1);
  if (int64_t classes = classes_in(model->head_path(), tensors)) model = row.build(classes);
  return compare_state(*model, tensors);
}

Tensor logits_of(Classifier& model, const Tensor& input) {
  NoGrad no_grad;
  bool was_training = model.training();
  model.eval();
  Tensor logits = model(input);
  model.train(was_training);
  return logits;
}

void require_architecture(const std::string& name, const std::filesystem::path& path,
                          const TensorMap& tensors) {
  if (!name.empty()) return;
  std::string nearest;
  recognise(tensors, &nearest);
  fail(Fault::data, "{}: the tensors fit no known model exactly; they look most like {}; say which "
       "one with --model", path.string(), nearest);
}

}  // namespace

ModelFile to_file(Classifier& model) {
  ModelFile file;
  file.tensors = state_view(model);
  file.architecture = model.architecture;
  file.classes = model.class_names;
  file.class_ids = model.class_ids;
  file.preprocess = model.preprocess;
  return file;
}

std::unique_ptr<Classifier> from_file(ModelFile file) {
  auto model = build_model(file.architecture, 1);
  int64_t classes = classes_in(model->head_path(), file.tensors);
  GRAFT_CHECK(classes > 0, "model file: the head '{}' of {} is missing", model->head_path(),
              file.architecture);
  model = build_model(file.architecture, classes);
  load_state(*model, std::move(file.tensors));
  GRAFT_CHECK(file.classes.empty() || int64_t(file.classes.size()) == classes,
              "model file: {} class names for {} outputs", file.classes.size(), classes);
  model->class_names = file.classes;
  model->class_ids = file.class_ids;
  model->preprocess = file.preprocess;
  return model;
}

void save_model(const std::filesystem::path& path, Classifier& model) {
  write_model_file(path, to_file(model));
}

std::unique_ptr<Classifier> load_model(const std::filesystem::path& path) {
  return from_file(read_model_file(path));
}

Adopted adopt(const std::filesystem::path& path, const std::string& name, bool partial) {
  Adopted adopted;
  ModelFile& file = adopted.file;
  bool ours = is_model_file(path);
  if (ours) {
    file = read_model_file(path);
  } else {
    Weights weights = read_weights(path);
    file.tensors = std::move(weights.tensors);
    adopted.skipped = std::move(weights.skipped);
  }
  require_finite(file.tensors, path.string());
  GRAFT_CHECK(name.empty() || file.architecture.empty() || name == file.architecture,
              "{}: holds a {}, not a {}", path.string(), file.architecture, name);
  if (file.architecture.empty()) file.architecture = name.empty() ? recognise(file.tensors) : name;
  require_architecture(file.architecture, path, file.tensors);
  file.tensors = tidied(zoo_row(file.architecture), std::move(file.tensors));

  auto probe = build_model(file.architecture, 1);
  int64_t classes = classes_in(probe->head_path(), file.tensors);
  if (classes == 0) classes = zoo_row(file.architecture).classes;
  auto model = partial ? make_model(file.architecture, classes)
                       : build_model(file.architecture, classes);
  adopted.report = compare_state(*model, file.tensors);
  if (!partial && !adopted.report.complete()) {
    std::string nearest;
    recognise(file.tensors, &nearest);
    fail(Fault::data, "{}: the weights do not fit {}: {}{}", path.string(), file.architecture,
         adopted.report.text(),
         nearest == file.architecture ? "; take what fits with --partial"
                                      : "; the file looks like a " + nearest);
  }
  GRAFT_CHECK(!adopted.report.loaded.empty(), "{}: none of its tensors fits {}: {}", path.string(),
              file.architecture, adopted.report.text());
  load_matching(*model, std::move(file.tensors));
  if (int64_t(file.classes.size()) == classes) {
    model->class_names = file.classes;
    model->class_ids = file.class_ids;
  }
  if (ours) model->preprocess = file.preprocess;
  file.tensors.clear();
  adopted.model = std::move(model);
  return adopted;
}

std::string recognise(const TensorMap& tensors, std::string* nearest) {
  size_t most = 0;
  for (const ZooRow& row : zoo()) {
    LoadReport report = fit(row, tensors);
    if (report.complete()) {
      if (nearest) *nearest = row.name;
      return row.name;
    }
    size_t wrong = report.missing.size() + report.unexpected.size() + report.misshapen.size();
    size_t score = report.loaded.size() * 1000 / (report.loaded.size() + wrong + 1) + 1;
    if (nearest && score > most) most = score, *nearest = row.name;
  }
  return "";
}

Golden make_golden(Classifier& model) {
  const int64_t side = zoo_row(model.architecture).small;
  Tensor input({1, side, side, 3});
  Random random(0, "golden");
  float* values = input.mutable_data();
  for (int64_t i = 0; i < input.size(); ++i) values[i] = random.normal();
  return {input, logits_of(model, input)};
}

double golden_difference(Classifier& model, const Golden& golden) {
  Tensor logits = logits_of(model, golden.input);
  GRAFT_CHECK(logits.shape() == golden.logits.shape(), "golden: logits {} in the file, {} here",
              golden.logits.shape(), logits.shape());
  double difference = 0, largest = 1e-30;
  for (int64_t i = 0; i < logits.size(); ++i) {
    double want = golden.logits.data()[i], got = logits.data()[i];
    difference = std::max(difference, std::abs(want - got));
    largest = std::max(largest, std::abs(want));
  }
  return difference / largest;
}

double require_golden(Adopted& adopted, const std::filesystem::path& path) {
  GRAFT_CHECK(adopted.file.golden, "{}: there is no golden input to verify; graft convert stores one",
              path.string());
  double difference = golden_difference(*adopted.model, *adopted.file.golden);
  GRAFT_CHECK(difference < 1e-3, "{}: the logits of the golden input differ by {:.2g} of the largest "
              "from those in the file; the file or this build is damaged", path.string(), difference);
  return difference;
}

std::map<std::string, std::string> hash_frozen(Classifier& model) {
  std::map<std::string, std::string> hashes;
  for (auto& frozen : frozen_tensors(model)) hashes[frozen.first];
  each_param(model, [&](const std::string& path, Param& p) {
    if (hashes.contains(path)) hashes[path] = sha256_of(published(p));
  });
  each_buffer(model, [&](const std::string& path, Tensor& t) {
    if (hashes.contains(path)) hashes[path] = sha256_of(t);
  });
  return hashes;
}

}  // namespace graft
