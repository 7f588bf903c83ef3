// graft soup: one network of several that were trained from the same weights, by averaging theirs.
#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "core/check.h"
#include "core/text.h"
#include "models/saved.h"

namespace graft::app {
namespace {

constexpr const char* kSoupFooter = R"(Examples:
  graft train --weights resnet18.h5 --data photos --head-solver lbfgs --out probe
  graft train --weights resnet18.h5 --data photos --recipe lp-ft --out tuned
  graft soup --alpha 0.5 probe/model.h5 tuned/model.h5 -o robust.h5   # as WiSE-FT
  graft soup run1/model.h5 run2/model.h5 run3/model.h5 -o soup.h5  # as a uniform model soup
For models that were fine-tuned from the same weights. The first is better on images unlike those of the
training (Wortsman et al., CVPR 2022), the second often better than the best of them (Wortsman et al.,
ICML 2022). Measure it with graft eval.)";

struct SoupOptions {
  Common common;
  std::vector<std::string> models;
  std::string out;
  double alpha = 0.5;
};

// Sums of one tensor's values over the models, each times its share.
struct Sum {
  Tensor first;                // of the first model: type and shape
  std::vector<double> values;  // f32 only
};
using Sums = std::map<std::string, Sum>;

void require_same(const Adopted& first, const Adopted& other, const std::string& a,
                  const std::string& b) {
  auto differ = [&](bool same, const char* what) {
    GRAFT_CHECK(same, "{} and {} have different {}: they cannot be averaged", printable(a),
                printable(b), what);
  };
  differ(first.model->architecture == other.model->architecture, "architectures");
  differ(first.model->class_names == other.model->class_names, "classes");
  differ(first.model->preprocess == other.model->preprocess, "preprocessing");
}

void add(Sums& sums, const std::string& path, const Tensor& t, double share) {
  auto [at, fresh] = sums.try_emplace(path, Sum{t, std::vector<double>(size_t(t.size()))});
  Sum& sum = at->second;
  GRAFT_CHECK(sum.first.shape() == t.shape() && sum.first.dtype() == t.dtype(),
              "{} is {} here and {} there", path, sum.first.shape(), t.shape());
  if (t.dtype() != DType::f32) return;  // counters and tables: those of the first
  for (int64_t i = 0; i < t.size(); ++i) sum.values[size_t(i)] += share * t.data()[i];
}

TensorMap averages(Sums& sums) {
  TensorMap tensors;
  for (auto& [path, sum] : sums) {
    Tensor t = sum.first.clone();
    for (int64_t i = 0; t.dtype() == DType::f32 && i < t.size(); ++i)
      t.mutable_data()[i] = float(sum.values[size_t(i)]);
    tensors[path] = t;
  }
  return tensors;
}

using Hashes = std::map<std::string, std::string>;

// What stayed in the training of both is the same where they began alike.
void warn_of_other_origins(const Hashes& a, const Hashes& b, const std::string& a_name,
                           const std::string& b_name) {
  std::vector<std::string> differ;
  for (auto& [path, hash] : a)
    if (auto other = b.find(path); other != b.end() && other->second != hash) differ.push_back(path);
  if (!differ.empty())
    say(fmt::format("warning: {} and {} were not trained from the same weights: both kept {}, and they "
                    "differ; measure the average with graft eval before you use it",
                    printable(a_name), printable(b_name), enumerate(differ, 3)));
}

// Proven of the average: what all have proven to be the same.
void keep_common_hashes(Hashes& hashes, const Hashes& others) {
  std::erase_if(hashes, [&](auto& entry) {
    auto other = others.find(entry.first);
    return other == others.end() || other->second != entry.second;
  });
}

void require_another_output(const SoupOptions& o) {
  std::error_code ignored;
  for (const std::string& model : o.models)
    if (model == o.out || std::filesystem::equivalent(model, o.out, ignored))
      fail(Fault::usage, "soup: the output {} is one of the models; name another file", printable(o.out));
}

int run_soup(const SoupOptions& o, bool with_alpha) {
  apply(o.common);
  if (o.models.size() < 2) fail(Fault::usage, "soup: give two models or more");
  if (with_alpha && o.models.size() != 2)
    fail(Fault::usage, "--alpha is for two models, {} were given; leave it out for the mean of all",
         o.models.size());
  require_another_output(o);
  std::vector<double> shares(o.models.size(), 1.0 / double(o.models.size()));
  if (with_alpha) shares = {1 - o.alpha, o.alpha};
  Adopted first;
  Sums sums;
  std::string recipe;
  for (size_t i = 0; i < o.models.size(); ++i) {
    Adopted next = adopt(o.models[i], "");
    if (next.model->head_form().kind == HeadForm::Kind::neighbours)
      fail(Fault::usage, "soup: {} has a head of stored images, which cannot be averaged; train with "
           "--head linear", printable(o.models[i]));
    if (i > 0) {
      require_same(first, next, o.models[0], o.models[i]);
      warn_of_other_origins(first.file.frozen_hashes, next.file.frozen_hashes, o.models[0], o.models[i]);
      keep_common_hashes(first.file.frozen_hashes, next.file.frozen_hashes);
      if (first.file.freeze_plan != next.file.freeze_plan) first.file.freeze_plan.clear();
    }
    for (auto& [path, tensor] : state(*next.model)) add(sums, path, tensor, shares[i]);
    recipe += fmt::format("{}{:g} {}", i ? " + " : "", shares[i], o.models[i]);
    if (i == 0) first = std::move(next);
  }
  load_state(*first.model, averages(sums));
  ModelFile file = to_file(*first.model);
  file.origin = {{"soup", recipe}};
  file.freeze_plan = first.file.freeze_plan;
  file.frozen_hashes = first.file.frozen_hashes;
  file.golden = make_golden(*first.model);
  write_model_file(o.out, file);
  if (o.common.json)
    print(Json{{"model", o.out}, {"models", o.models}, {"shares", shares}});
  else
    print(fmt::format("{} = {}", printable(o.out), printable(recipe)));
  return 0;
}

}  // namespace

Run add_soup(CLI::App& program) {
  Command c(program, "soup", "Average the weights of fine-tuned models");
  auto o = std::make_shared<SoupOptions>();
  c.required("models", o->models, "Model files of one architecture, with the same classes");
  c.required("-o,--out", o->out, "Model file to write");
  c.number("--alpha", o->alpha, 0, 1, "Share of the second of two models; without it all have the "
           "same");
  add_common(c, o->common);
  c.footer(kSoupFooter);
  return [o, c] { return run_soup(*o, c.given("--alpha")); };
}

}  // namespace graft::app
