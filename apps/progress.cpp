#include "apps/progress.h"

#include <unistd.h>

#include "apps/command.h"
#include "apps/plan_table.h"
#include "core/text.h"

namespace graft::app {
namespace {

constexpr const char* kClearLine = "\r\033[K";

}  // namespace

void show_plan(Classifier& model, const std::string& plan, const Learner& how, PlanRows of,
               int64_t train_images, int64_t val_images) {
  int64_t all = parameter_count(model), trained = parameter_count(model, true);
  say(fmt::format("{} on {} images, {} to validate; --freeze {}", model.architecture, train_images,
                  val_images, plan));
  std::string table = plan_table(plan_rows(model, how, of));
  table.pop_back();
  say(table);
  say(fmt::format("  trained {} of {} parameters", trained, all));
  for (const std::string& line : split(plan_totals(model, how.optimizer), "\n")) say("  " + line);
}

ProgressLine::ProgressLine() : terminal_(isatty(STDERR_FILENO)) {}

void ProgressLine::update(int64_t epoch, int64_t epochs, int64_t batch, int64_t batches,
                          double loss) {
  if (!terminal_ || now() - last_ < 0.1) return;
  last_ = now();
  constexpr int64_t kWidth = 30;
  int64_t filled = batches ? kWidth * batch / batches : 0;
  std::string text = fmt::format("{}epoch {:3}/{}  [{:=<{}}{: <{}}]  loss {:.4f}", kClearLine, epoch,
                                 epochs, "", filled, "", kWidth - filled, loss);
  [[maybe_unused]] ssize_t written = ::write(STDERR_FILENO, text.data(), text.size());
}

void ProgressLine::finish(const std::string& line) { say((terminal_ ? kClearLine : "") + line); }

BadImages::~BadImages() {
  for (const BadFile& bad : loader_.bad_files()) say("skipped: " + bad.message);
}

}  // namespace graft::app
