// The folder of a training run: model.h5 (the best so far), checkpoint.h5 (where it stands, every
// epoch), events.jsonl (a line per epoch), .lock (one process at a time).
#pragma once
#include <filesystem>
#include <memory>
#include <set>

#include "apps/training.h"
#include "io/checkpoint.h"
#include "io/events.h"
#include "io/file.h"
#include "models/saved.h"

namespace graft::app {

class RunFolder {
 public:
  explicit RunFolder(const std::filesystem::path& folder);  // made, locked, proven writable

  std::filesystem::path model() const { return folder_ / "model.h5"; }
  std::filesystem::path checkpoint() const { return folder_ / "checkpoint.h5"; }
  static bool has_checkpoint(const std::filesystem::path& folder);

  // Saving never stops a run: a failure is reported on stderr and remembered.
  bool save(const std::filesystem::path& path, const std::function<void()>& write);
  bool last_save_failed() const { return !failed_.empty(); }  // of any of the files

  void open_events(const std::vector<EpochRecord>& history);  // the lines that shall stand there
  void log(const std::string& json);

 private:
  std::filesystem::path folder_;
  RunLock lock_;
  std::unique_ptr<EventLog> events_;
  std::set<std::filesystem::path> failed_;  // files whose newest version could not be saved
};

// Progress in a checkpoint and back.
void put_progress(Checkpoint& checkpoint, const Progress& progress);
Progress get_progress(const Checkpoint& checkpoint);
std::string event_of(const EpochRecord& record);  // one JSON object

}  // namespace graft::app
