#include "apps/demo_folder.h"

#include <fmt/format.h>

#include <fstream>

#include "apps/draw.h"
#include "core/check.h"

namespace graft::app {
namespace {

namespace fs = std::filesystem;

constexpr const char* kMarker = "graft-demo.txt";
constexpr const char* kAbout =
    "Made by `graft demo`, which writes over this folder when it runs again.\n"
    "classes.bmp  four pictures of every class, those of the target last\n"
    "source/      pictures that the network is pretrained on\n"
    "target-N/    pictures of other classes, few to learn from; one folder per seed\n"
    "models/      source.h5, the pretrained network, and one per regime, trained on target-1\n";
constexpr int kSide = 48;  // pixels

bool foreign(const fs::path& folder) {
  return fs::exists(folder) && (!fs::is_directory(folder) || !fs::is_empty(folder)) &&
         !fs::exists(folder / kMarker);
}

// Only what a demo makes: a user may have put a file of their own beside it.
void remove_earlier(const fs::path& folder) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    std::string name = entry.path().filename().string();
    if (name == "source" || name == "models" || name.starts_with("target-"))
      fs::remove_all(entry.path());
  }
}

}  // namespace

DemoFolder::DemoFolder(const fs::path& folder) : folder_(folder) {
  if (foreign(folder))
    fail(Fault::cant_create, "{}: exists and was not made by graft demo; choose another --out",
         folder.string());
  make_writable_folder(folder);
  lock_ = std::make_unique<RunLock>(folder);
  remove_leftovers(folder);
  remove_earlier(folder);
  fs::create_directory(folder / "models");
  std::ofstream marker(folder / kMarker);
  if (!(marker << kAbout).flush()) fail(Fault::io, "{}: cannot write", (folder / kMarker).string());
}

void DemoFolder::draw_pictures(const std::string& name, std::span<const Subject> subjects,
                               uint64_t seed, int train, int val) const {
  for (const Subject& subject : subjects) {
    for (const char* part : {"train", "val"}) {
      fs::path into = folder_ / name / part / subject.name;
      fs::create_directories(into);
      int first = *part == 't' ? 0 : train, count = *part == 't' ? train : val;
      for (int i = first; i < first + count; ++i)
        write_bmp(into / fmt::format("{}-{:03}.bmp", subject.name, i),
                  draw(subject, seed, uint64_t(i), kSide));
    }
  }
}

}  // namespace graft::app
