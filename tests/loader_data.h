// A folder of small images for tests of the loader, and what makes 16 x 16 pixels of each.
#pragma once
#include "io/loader.h"
#include "tests/image_files.h"

namespace graft::test {

inline Preprocess small() {
  Preprocess p;
  p.resize = 20;
  p.crop = 16;
  return p;
}

// `count` small images on disk; image i has its own pixels and the label i % 3.
struct Data {
  explicit Data(int count) {
    set.classes = {"a", "b", "c"};
    set.root = folder.path();
    for (int i = 0; i < count; ++i) {
      std::string path = folder / fmt::format("{}.{}", i, i % 2 ? "png" : "jpg");
      int w = 20 + i % 7, h = 30 - i % 5;
      auto rgb = picture(w, h, 3, uint64_t(i));
      write_file(path, i % 2 ? make_png(w, h, rgb) : make_jpeg(w, h, rgb));
      set.samples.push_back({path, i % 3});
    }
  }
  void damage(int i) { write_text(set.samples[size_t(i)].path, "no image"); }
  Folder folder;
  Dataset set;
};

}  // namespace graft::test
