// A classifier is a trunk, which turns an image into features, and a head, the one layer that knows
// the classes; a few have large layers between. Transfer learning keeps the first and replaces the second.
// Inputs are (N,H,W,3) f32, normalised as `preprocess` says; outputs are logits (N, classes).
#pragma once
#include <string>
#include <vector>

#include "io/transforms.h"
#include "layers/freeze.h"
#include "layers/module.h"
#include "models/head_form.h"

namespace graft {

class Classifier : public Module {
 public:
  virtual Tensor trunk(Tensor x) = 0;        // image -> features
  virtual Tensor hidden(Tensor features) { return features; }  // layers between, for a whole batch
  virtual Tensor head(Tensor features) = 0;  // -> logits; begins with the layer that knows the classes
  Tensor forward(Tensor x) override;         // head(hidden(trunk(x)))

  virtual std::string head_path() const = 0;  // of the layer that knows the classes: "fc"
  int64_t classes();

  // A new head for so many classes, its values drawn from the seed; every other tensor stays. Of the
  // same form as before, or of another.
  void replace_head(int64_t classes, uint64_t seed = 0);
  void replace_head(int64_t classes, uint64_t seed, const HeadForm& form);
  const HeadForm& head_form() const { return form_; }
  void form_head(const HeadForm& form);  // as many classes, its values uninitialised
  std::string class_weights_path() const;  // of the tensor with a row for each class: "fc.weight"

  // A trunk can end early: after which of its parts, in order; none by default. What comes behind
  // is dropped, and a new head, its values uninitialised, takes the mean over the map.
  virtual std::vector<std::string> stages() const { return {}; }
  void end_after(const std::string& stage);  // throws Fault::usage when it is none of those

  virtual Module& head_layer() = 0;       // as make_head_layer() makes it

  // Where it computes, and in which type activations are there: f32 on the processor; f32, bf16 or f16
  // on a CUDA device. Parameters are f32 everywhere. Build optimizers afterwards.
  void place(Device device, DType activations = DType::f32);
  Device device() const { return device_; }
  DType activations() const { return activations_; }

  std::string architecture;               // its name in the zoo, where it ends and its head: models/zoo.h
  std::vector<std::string> class_names;   // in the order of the logits; may be empty
  std::vector<std::string> class_ids;     // second names (WordNet ids); empty or as many
  Preprocess preprocess;

  // A trunk that only computes (nothing in it learns, draws or looks across the batch) takes a few
  // images at a time: their activations stay in the cache, and memory does not grow with the batch.
  bool trunk_is_fixed();
  Tensor trunk_in_parts(Tensor x);        // trunk(x), in that way where it can

 protected:
  // Whether trunk(), and not hidden() or head(), runs the layer at this path.
  virtual bool in_trunk(const std::string& path) const { return !path.starts_with(head_path()); }
  virtual void set_head(std::unique_ptr<Module> layer) = 0;  // in place of head_layer()
  virtual int64_t head_inputs();                             // channels of what a new one is given
  virtual bool head_is_filter() const { return false; }      // where a Linear would be, a Conv2d is
  virtual void drop_behind(size_t) {}           // the index of one of stages()

 private:
  void make_head(int64_t classes);  // of the form, uninitialised

  HeadForm form_;
  Device device_ = Device::cpu;
  DType activations_ = DType::f32;
};

// Initial values of the whole network, for training from scratch.
void initialize(Classifier& model, uint64_t seed);

void freeze(Classifier& model, const FreezePlan& plan);
void freeze(Classifier& model, const std::string& plan);

}  // namespace graft
