#include "apps/recipe_options.h"

#include <algorithm>

#include "core/check.h"

namespace graft::app {
namespace {

constexpr const char* kOfTheLoop[] = {"--recipe",   "--lr-decay", "--lr-of",  "--l2-sp",
                                      "--ema",      "--mixup",    "--cutmix", "--sampling",
                                      "--patience", "--find-lr"};

void require_known(const char* option, const std::string& value,
                   const std::vector<std::string>& known) {
  if (std::find(known.begin(), known.end(), value) != known.end()) return;
  std::string names;
  for (const std::string& name : known)
    names += (names.empty() ? "" : &name == &known.back() ? " or " : ", ") + name;
  fail(Fault::usage, "{}: '{}' is unknown; use {}", option, value, names);
}

void clash(const char* one, const std::string& other, const char* why) {
  fail(Fault::usage, "{} and {} contradict each other: {}; leave one out", one, other, why);
}

}  // namespace

RatePlan RecipeOptions::rates() const {
  RatePlan plan{.decay = lr_decay, .rates = {}};
  for (const std::string& text : lr_of) plan.rates.push_back(parse_rate(text));
  return plan;
}

void add_recipe_options(Command& c, RecipeOptions& o) {
  c.text("--recipe", o.recipe, "lp-ft: first the head alone, solved for, then all that the plan "
         "lets learn, at a small rate (--lr, by default 0.0001), so that features are not spoilt "
         "by a head that knows nothing (Kumar et al., ICLR 2022); gradients, those of --probe-epochs "
         "too, are clipped (--clip-norm, by default 1); gradual: one more block learns after each "
         "--stage-epochs, from the head down, several where --epochs would not reach all "
         "(ULMFiT: Howard and Ruder, ACL 2018); a --schedule begins anew with each part. "
         "--freeze is then by default none, and norms stay as they are unless it says bn=");
  c.integer("--probe-epochs", o.probe_epochs, 0, 1'000'000, "lp-ft: epochs of SGD for the head; 0: "
            "solved as by --head-solver lbfgs");
  c.number("--probe-lr", o.probe_lr, 1e-12, 1e6, "lp-ft: learning rate of those epochs");
  c.integer("--stage-epochs", o.stage_epochs, 1, 1'000'000, "gradual: epochs of a stage; what is "
            "left of --epochs is for the last");
  c.number("--lr-decay", o.lr_decay, 1e-6, 1, "Factor of the rate from each block to the one "
           "before it, the head has all of it; 0.65 to 0.9 (discriminative fine-tuning: ULMFiT, "
           "ACL 2018; ELECTRA, ICLR 2020)");
  c.repeated("--lr-of", o.lr_of, "GLOB=RATE, highest rate of the layers or parameters that match; "
             "may be repeated, the last that matches counts (discriminative fine-tuning: ULMFiT, ACL 2018)");
  c.number("--l2-sp", o.l2_sp, 0, 1e3, "Pull of what was pretrained towards where it started, A/2 "
           "|w - w0|^2; --weight-decay is then for the head alone; for few images, close to what "
           "the network has seen (Li et al., ICML 2018)");
  c.number("--ema", o.ema, 0, 0.999999, "Measure and save the average of the weights over the "
           "steps, with this decay, 0.999 say (Tarvainen and Valpola, NeurIPS 2017); 0: the last "
           "weights");
  c.number("--mixup", o.mixup, 0, 100, "Learn from sums of two images and their labels, their "
           "shares drawn from Beta(A, A) (Zhang et al., ICLR 2018); 0: never");
  c.number("--cutmix", o.cutmix, 0, 100, "Learn from images with a patch of another, its area "
           "drawn from Beta(A, A) (Yun et al., ICCV 2019); with --mixup one of the two at random; "
           "0: never");
  c.text("--sampling", o.sampling, "shuffled: each image once in an epoch; balanced: each class "
         "equally often (Kang et al., ICLR 2020)");
  c.integer("--patience", o.patience, 0, 1'000'000, "Stop after so many epochs in a row without a "
            "better validation accuracy (Prechelt 1998); 0: never");
  c.flag("--find-lr", o.find_lr, "Only look for a learning rate: raises it step by step until the "
         "loss explodes, and suggests one (Smith, WACV 2017); leaves nothing behind but features in --cache FOLDER");
  for (const char* name : kOfTheLoop) c.group("Recipes", name);
  for (const char* name : {"--probe-epochs", "--probe-lr", "--stage-epochs"})
    c.group("Recipes", name);
}

void check_recipe(const RecipeOptions& o, const BesideRecipe& beside, const Command& c) {
  auto given = [&](const char* option) { return c.given(option); };
  if (o.find_lr && beside.resume)
    clash("--find-lr", "--resume", "a search has nothing to go on with");
  if (beside.resume) return;  // what is given now is compared with the stopped run instead
  require_known("--recipe", o.recipe, {"none", "lp-ft", "gradual"});
  require_known("--sampling", o.sampling, {"shuffled", "balanced"});
  o.rates();
  for (const char* option : kOfTheLoop)
    if (!beside.loop && given(option))
      clash(option, beside.solver, "nothing is trained step by step");
  for (const char* option : {"--recipe", "--l2-sp"})
    if (beside.scratch && given(option)) clash(option, "--weights none", "nothing was pretrained");
  for (const char* option : {"--probe-epochs", "--probe-lr"})
    if (given(option) && o.recipe != "lp-ft")
      clash(option, "--recipe " + o.recipe, "only lp-ft has a probe");
  if (given("--probe-lr") && o.probe_epochs == 0)
    clash("--probe-lr", "--probe-epochs 0", "the head is solved for, without a rate");
  if (given("--stage-epochs") && o.recipe != "gradual")
    clash("--stage-epochs", "--recipe " + o.recipe, "only gradual has stages");
  if (o.find_lr && given("--recipe"))
    clash("--find-lr", "--recipe", "each part has a rate of its own");
  if (o.find_lr && given("--out")) clash("--find-lr", "--out", "it leaves nothing behind");
  if (o.sampling == "balanced" && beside.class_weights)
    clash("--sampling balanced", "--class-weights balanced", "rare classes would count twice");
}

}  // namespace graft::app
