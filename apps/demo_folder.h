// Where graft demo keeps what it makes, as a user's data would lie: a folder per class under train/
// and val/, and model files. Only a folder that a demo made is ever written over.
#pragma once
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "apps/draw_parts.h"
#include "io/file.h"

namespace graft::app {

class DemoFolder {
 public:
  // Made when missing, locked, and emptied of an earlier demo. Throws for any other full folder.
  explicit DemoFolder(const std::filesystem::path& folder);

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string model(const std::string& name) const { return path("models/" + name + ".h5"); }

  // Draws NAME/train/<class>/*.bmp and NAME/val/<class>/*.bmp, other pictures in each.
  void draw_pictures(const std::string& name, std::span<const Subject> subjects, uint64_t seed,
                     int train, int val) const;

 private:
  std::filesystem::path folder_;
  std::unique_ptr<RunLock> lock_;
};

}  // namespace graft::app
