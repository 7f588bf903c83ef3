// graft demo: the whole story with nothing to download. A small network learns many kinds of drawn
// things; then it is taken up again for other kinds, of which there are only a few pictures.
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/command.h"
#include "apps/demo_folder.h"
#include "apps/demo_learn.h"
#include "apps/demo_report.h"
#include "apps/draw.h"
#include "apps/plan_table.h"
#include "core/text.h"
#include "models/saved.h"
#include "models/zoo.h"

namespace graft::app {
namespace {

constexpr const char* kDemoFooter = R"(Example:
  graft demo --out story)";
constexpr const char* kModel = "resnet10_small";

struct DemoOptions {
  Common common;
  std::string out;
  int seeds = 3;
  bool quick = false;
};

// How much is drawn (per class) and learned.
struct Scale {
  size_t source_classes, target_classes;
  int source_train, source_val, target_train, target_val;
  int64_t source_epochs, epochs, scratch_epochs;
};
constexpr Scale kFull = {99, 99, 56, 10, 10, 40, 12, 30, 60};
constexpr Scale kQuick = {10, 4, 16, 4, 6, 8, 4, 8, 8};

// From nothing 0.1 was the best of 0.01 to 0.2; a smaller one would flatter the others.
constexpr Regime kRegimes[] = {
    {"head", "trunk", "the new head only", true, 0.1},
    {"top", "until:layer3", "layer3, layer4 and the head", true, 0.02},
    {"all", "none", "everything, from the source's values", true, 0.02},
    {"scratch", "none", "everything, from random values", false, 0.1},
};

std::vector<std::string> names_of(std::span<const Subject> subjects) {
  std::vector<std::string> names;
  for (const Subject& subject : subjects) names.push_back(subject.name);
  return names;
}

// ---- the story --------------------------------------------------------------------------------

struct Demo {
  DemoOptions options;
  Scale scale;
  DemoFolder folder;
  std::span<const Subject> source, target;
  std::vector<DemoRow> rows;
  double source_accuracy = 0;
};

void introduce(const Demo& d) {
  say(fmt::format(
      "graft demo: transfer learning in six steps, on pictures that this program draws.\n"
      "  source: {} classes ({}), {} pictures of each\n"
      "  target: {} classes ({}), {} pictures of each\n"
      "No class of the target occurs in the source. One program draws both, from the same kinds "
      "of\n"
      "shapes, textures and backgrounds: what is learned of those is all that can be carried "
      "over.\n"
      "Everything is kept in {}; look at classes.bmp there.",
      d.source.size(), enumerate(names_of(d.source), 6), d.scale.source_train, d.target.size(),
      enumerate(names_of(d.target), 8), d.scale.target_train, printable(d.folder.path(""))));
}

void draw_sheet(const Demo& d) {
  std::vector<Subject> all(d.source.begin(), d.source.end());
  all.insert(all.end(), d.target.begin(), d.target.end());
  write_bmp(d.folder.path("classes.bmp"), contact_sheet(all, d.options.common.seed, 64));
}

void pretrain(Demo& d) {
  uint64_t seed = d.options.common.seed;
  say(fmt::format("\n1  Obtain a pretrained model: {} learns the source from nothing", kModel));
  d.folder.draw_pictures("source", d.source, seed, d.scale.source_train, d.scale.source_val);
  auto model = make_model(kModel, int64_t(d.source.size()), seed);
  model->class_names = names_of(d.source);
  Learned learned =
      learn(*model, d.folder.path("source"), {d.scale.source_epochs, 32, 0.1, seed, true});
  d.source_accuracy = learned.accuracy;
  save_model(d.folder.model("source"), *model);
  say(fmt::format("   {:.0f} s; right about {:.1f} % of new source pictures; saved as {}",
                  learned.seconds, 100 * learned.accuracy, printable(d.folder.model("source"))));
}

void save(const Demo& d, Classifier& model, const Regime& regime,
          const std::map<std::string, std::string>& frozen) {
  ModelFile file = to_file(model);
  file.freeze_plan = FreezePlan::parse(regime.freeze).text();
  file.origin = {{"made_by", "graft demo"}, {"weights", regime.pretrained ? "source.h5" : "none"}};
  file.frozen_hashes = frozen;
  file.golden = make_golden(model);
  write_model_file(d.folder.model(regime.name), file);
}

// Steps 2 to 5; told in full when `tell` is set.
Learned adapt(const Demo& d, const Regime& regime, int number, bool tell) {
  auto step = [&](const std::string& text) {
    if (tell) say(text);
  };
  uint64_t seed = d.options.common.seed + uint64_t(number);
  int64_t classes = int64_t(d.target.size());
  step("\n2  Create the base model from source.h5");
  auto model =
      regime.pretrained ? load_model(d.folder.model("source")) : make_model(kModel, classes, seed);
  step(fmt::format("   {}: {} parameters, {} classes", model->architecture, parameter_count(*model),
                   model->classes()));
  step(fmt::format("\n3  Freeze: {} learns (--freeze {})", regime.about, regime.freeze));
  freeze(*model, regime.freeze);
  step(fmt::format("\n4  Graft on a new head: {}, {} -> {} classes", model->head_path(),
                   model->classes(), classes));
  if (regime.pretrained) model->replace_head(classes, seed);
  model->class_names = names_of(d.target);
  if (tell) {
    std::string table = plan_table(plan_rows(*model, {regime.rate, {}}));
    table.pop_back();
    say(table);
  }
  step("\n5  Train the new head");
  auto frozen = hash_frozen(*model);
  Learned learned =
      learn(*model, d.folder.path(fmt::format("target-{}", number)),
            {regime.pretrained ? d.scale.epochs : d.scale.scratch_epochs, 16, regime.rate, seed});
  if (hash_frozen(*model) != frozen)
    fail(Fault::internal, "a frozen tensor was changed by training; please report this");
  step(
      fmt::format("   {:.1f} s; right about {:.1f} % of new target pictures; {} frozen tensors "
                  "unchanged (SHA-256)",
                  learned.seconds, 100 * learned.accuracy, frozen.size()));
  if (number == 1) save(d, *model, regime, frozen);
  return learned;
}

void compare(Demo& d) {
  for (int number = 1; number <= d.options.seeds; ++number) {
    d.folder.draw_pictures(fmt::format("target-{}", number), d.target,
                           d.options.common.seed + uint64_t(number), d.scale.target_train,
                           d.scale.target_val);
    for (size_t r = 0; r < std::size(kRegimes); ++r) {
      bool first = number == 1 && r == 0;
      if (number == 1 && r == 1)
        say(fmt::format(
            "\n6  Fine-tune: let more of it learn ({} epochs); to compare, from nothing ({})",
            d.scale.epochs, d.scale.scratch_epochs));
      Learned learned = adapt(d, kRegimes[r], number, first);
      d.rows[r].runs.push_back(learned);
      if (!first)
        say(fmt::format("   seed {}  {:<8} {:5.1f} %  {:.1f} s", number, kRegimes[r].name,
                        100 * learned.accuracy, learned.seconds));
    }
  }
}

// ---- report -----------------------------------------------------------------------------------

std::string invoked_as() {
  std::ifstream words("/proc/self/cmdline");
  std::string word;
  std::getline(words, word, '\0');
  return word.empty() ? "graft" : printable(word);
}

std::string commands(const Demo& d) {
  std::string graft = invoked_as(), name = d.target[0].name;
  std::string model = printable(d.folder.model(best_pretrained(d.rows).regime.name));
  std::string picture = fmt::format("target-1/val/{0}/{0}-{1:03}.bmp", name, d.scale.target_train);
  return fmt::format(
      "Try what was made:\n"
      "  {0} predict --weights {1} {2}\n"
      "  {0} eval --weights {1} --data {3}/val\n"
      "  {0} inspect {1}\n"
      "  {0} train --weights {4} --data {3} --freeze until:layer4 --lr 0.02 --out {5}",
      graft, model, printable(d.folder.path(picture)), printable(d.folder.path("target-1")),
      printable(d.folder.model("source")), printable(d.folder.path("run")));
}

int run_demo(const DemoOptions& o) {
  apply(o.common);
  double begin = now();
  const Scale& scale = o.quick ? kQuick : kFull;
  auto some = [](auto all, size_t most) { return all.first(std::min(all.size(), most)); };
  Demo d{o, scale, DemoFolder(o.out), some(source_subjects(), scale.source_classes),
         some(target_subjects(), scale.target_classes)};
  for (const Regime& regime : kRegimes) d.rows.push_back({regime});
  introduce(d);
  draw_sheet(d);
  pretrain(d);
  compare(d);
  double seconds = now() - begin;
  say(fmt::format(
      "\nOn the target, mean of {} seeds (pictures, head and order anew for each); {:.0f} s "
      "in all:",
      o.seeds, seconds));
  if (o.common.json)
    print(Json{{"rows", result_json(d.rows)},
               {"source_accuracy", d.source_accuracy},
               {"seconds", seconds},
               {"out", o.out},
               {"source_classes", names_of(d.source)},
               {"target_classes", names_of(d.target)}});
  else
    print(result_table(d.rows));
  if (o.quick) say("--quick learns far too little for these numbers to mean anything.");
  say("\n" + commands(d));
  return 0;
}

}  // namespace

Run add_demo(CLI::App& program) {
  Command c(program, "demo", "The whole story, on pictures it draws itself");
  auto o = std::make_shared<DemoOptions>();
  o->out = (std::filesystem::temp_directory_path() / "graft-demo").string();
  c.text("--out", o->out, "Folder for pictures and models; an earlier demo in it is replaced");
  c.integer("--seeds", o->seeds, 1, 100, "Repetitions of the target, each with new pictures");
  c.flag("--quick", o->quick, "Far fewer of everything, to see that it runs");
  add_common(c, o->common);
  c.footer(kDemoFooter);
  return [o] { return run_demo(*o); };
}

}  // namespace graft::app
