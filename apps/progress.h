// What a person sees while a run goes on: the freeze plan as a table, and one line that moves on a
// terminal and stays away elsewhere.
#pragma once
#include <string>

#include "apps/plan_table.h"
#include "io/loader.h"
#include "models/classifier.h"

namespace graft::app {

// apps/plan_table.h with a line above and the totals below.
void show_plan(Classifier& model, const std::string& plan, const Learner& how, PlanRows of,
               int64_t train_images, int64_t val_images);

class ProgressLine {
 public:
  ProgressLine();
  void update(int64_t epoch, int64_t epochs, int64_t batch, int64_t batches, double loss);
  void finish(const std::string& line);  // replaces the moving line by one that stays

 private:
  bool terminal_;
  double last_ = 0;  // seconds; redrawn ten times a second at most
};

// Names every image that could not be used when the work ends, however it ends.
class BadImages {
 public:
  explicit BadImages(const Loader& loader) : loader_(loader) {}
  ~BadImages();
  BadImages(const BadImages&) = delete;
  BadImages& operator=(const BadImages&) = delete;

 private:
  const Loader& loader_;
};

}  // namespace graft::app
