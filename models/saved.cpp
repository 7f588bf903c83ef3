#include "models/saved.h"

#include <algorithm>
#include <cmath>

#include "core/autograd.h"
#include "core/random.h"
#include "io/tensor_map.h"
#include "models/zoo.h"

namespace graft {
namespace {

Tensor logits_of(Classifier& model, const Tensor& input) {
  NoGrad no_grad;
  bool was_training = model.training();
  model.eval();
  Tensor logits = model(input);
  model.train(was_training);
  return logits;
}

void require_architecture(const ModelFile& file, const std::filesystem::path& path) {
  if (!file.architecture.empty()) return;
  std::string nearest;
  recognise(file.tensors, &nearest);
  fail(Fault::data, "{}: the tensors fit no known model exactly; they look most like {}; say which "
       "one with --model", path.string(), nearest);
}

// The last stage of the trunk up to which nothing lacks and nothing differs; "" for none.
std::string complete_until(const std::string& architecture, const LoadReport& report) {
  auto whole = build_model(architecture, 1);
  std::vector<std::string> stages = whole->stages();
  for (auto stage = stages.rbegin(); stage != stages.rend(); ++stage) {
    auto cut = build_model(parse_network(architecture).row + ":" + *stage, 1);
    TensorMap wanted = state_view(*cut);
    auto lacks = [&](const std::string& name) {
      return wanted.contains(name) && !name.starts_with(cut->head_path() + ".");
    };
    if (report.misshapen.empty() &&
        std::none_of(report.missing.begin(), report.missing.end(), lacks)) return *stage;
  }
  return "";
}

[[noreturn]] void refuse(const Adopted& adopted, const std::filesystem::path& path) {
  const ModelFile& file = adopted.file;
  std::string nearest = file.architecture, advice = "; take what fits with --partial";
  if (!adopted.told) recognise(file.tensors, &nearest);
  if (nearest != file.architecture) advice = "; the file looks like a " + nearest;
  else if (std::string stage = complete_until(file.architecture, adopted.report); !stage.empty())
    advice += fmt::format(", or the trunk that is whole with --until {}", stage);
  fail(Fault::data, "{}: the weights do not fit {}: {}{}", path.string(), file.architecture,
       adopted.report.text(), advice);
}

// Whether all that lacks is the head.
bool lacks_head_only(const LoadReport& report, const std::string& head) {
  auto of_head = [&](const std::string& name) { return name.starts_with(head + "."); };
  return report.unexpected.empty() && report.misshapen.empty() &&
         std::all_of(report.missing.begin(), report.missing.end(), of_head);
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
  int64_t classes = classes_in(*model, file.tensors);
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

Adopted adopt(const std::filesystem::path& path, const std::string& network, Accept accept) {
  Imported imported = import_weights(path, network, accept.nonfinite);
  require_architecture(imported.file, path);
  Adopted adopted;
  ModelFile& file = adopted.file = std::move(imported.file);
  adopted.skipped = std::move(imported.skipped);
  adopted.note = std::move(imported.note);
  adopted.told = imported.told;

  const auto any = build_model(file.architecture, 1);
  const std::string head = any->head_path();
  int64_t classes = classes_in(*any, file.tensors);
  bool fresh = classes == 0;
  if (fresh) classes = zoo_row(file.architecture).classes;
  auto model = fresh || accept.partial ? make_model(file.architecture, classes)
                                : build_model(file.architecture, classes);
  adopted.report = compare_state(*model, file.tensors);
  bool trunk = !parse_network(network).until.empty() && lacks_head_only(adopted.report, head);
  if (!accept.partial && !trunk && !adopted.report.complete()) refuse(adopted, path);
  GRAFT_CHECK(!adopted.report.loaded.empty(), "{}: none of its tensors fits {}: {}", path.string(),
              file.architecture, adopted.report.text());
  load_matching(*model, std::move(file.tensors));
  if (int64_t(file.classes.size()) == classes) {
    model->class_names = file.classes;
    model->class_ids = file.class_ids;
  }
  model->preprocess = file.preprocess;
  file.tensors.clear();
  adopted.model = std::move(model);
  return adopted;
}

void tell_sources(const Adopted& adopted, ModelFile& file) {
  for (const std::string& name : adopted.report.loaded) {
    auto known = adopted.file.sources.find(name);
    bool told = known != adopted.file.sources.end();
    file.sources[name] = told ? known->second : TensorSource{name, "kept"};
  }
}

// On the processor, where any machine can replay it.
Golden make_golden(Classifier& model) {
  if (model.device() != Device::cpu) return make_golden(*from_file(to_file(model)));
  const ExactProducts exact;
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
    if (hashes.contains(path)) hashes[path] = sha256_of(t.to(Device::cpu));
  });
  return hashes;
}

}  // namespace graft
