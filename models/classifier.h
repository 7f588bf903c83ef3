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
#include "models/steps.h"

namespace graft {

class Classifier : public Module {
 public:
  virtual Steps steps() = 0;                 // the trunk, image -> features; at least one step
  Tensor trunk(Tensor x);                    // all of them, for the whole batch at once
  virtual Tensor hidden(Tensor features) { return features; }  // layers between, for a whole batch
  virtual Tensor head(Tensor features) = 0;  // -> logits; begins with the layer that knows the classes
  Tensor forward(Tensor x) override;         // head(hidden(trunk(x))), in parts

  virtual std::string head_path() const = 0;  // of the layer that knows the classes: "fc"
  int64_t classes();

  // A new head for so many classes, its values by initialize_new_head() in layers/init.h; every other
  // tensor stays. Of the same form as before, or of another.
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

  // The steps at the beginning that only compute: nothing in them learns, draws or looks across the
  // batch, in the mode that the network is in now.
  size_t fixed_steps();
  // They take a few images at a time: their activations stay in the cache, and memory does not grow
  // with the batch. With a number here, exactly so many, short parts being filled up, so that what
  // is made of an image does not depend in any bit on those beside it; see part_for().
  void images_at_a_time(int64_t images) { part_ = images; }  // 0: as it comes, up to 8
  int64_t images_at_a_time() const { return part_; }
  int64_t part_for(int64_t batch) const;  // a number for batches of this size that wastes little

  Tensor begin(Tensor x, size_t end);        // steps [0, end), which are fixed, in that way
  // Steps from there on, in that way as far as they are fixed, the others for the whole batch.
  Tensor trunk_in_parts(Tensor x, size_t begin = 0);

 protected:
  virtual void set_head(std::unique_ptr<Module> layer) = 0;  // in place of head_layer()
  virtual int64_t head_inputs();                             // channels of what a new one is given
  virtual bool head_is_filter() const { return false; }      // where a Linear would be, a Conv2d is
  virtual void drop_behind(size_t) {}           // the index of one of stages()

 private:
  void make_head(int64_t classes);  // of the form, uninitialised
  Tensor run(const Steps& steps, size_t begin, size_t end, Tensor x) const;
  Tensor run_in_parts(const Steps& steps, size_t begin, size_t end, Tensor x) const;
  size_t fixed_steps(const Steps& steps);

  HeadForm form_;
  int64_t part_ = 0;
  Device device_ = Device::cpu;
  DType activations_ = DType::f32;
};

// Initial values of the whole network, for training from scratch.
void initialize(Classifier& model, uint64_t seed);

void freeze(Classifier& model, const FreezePlan& plan);
void freeze(Classifier& model, const std::string& plan);

}  // namespace graft
