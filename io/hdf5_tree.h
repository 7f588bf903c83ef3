// Private to io/hdf5_*: an HDF5 file open for reading, with all its groups and datasets found.
// Only hard links are walked and every object is opened by its address, so the library never
// follows a path: nothing in a file can lead it out of that file.
#pragma once
#include <filesystem>
#include <map>
#include <set>
#include <string>

#include "io/hdf5_driver.h"

namespace graft::hdf5 {

struct Link {
  std::string name;
  H5L_type_t type;
  haddr_t address;
};

struct Tree {
  explicit Tree(InputFile opened);  // looks at the signature and the seal
  void open();                      // gives it to the library and finds everything

  const std::string& name() const { return input.name(); }
  Id object(const std::string& path) const;
  // A step of the library that must succeed in an undamaged file.
  void check(bool done, const std::string& where, const char* what) const;

  LibraryLock lock = lock_library();
  InputFile input;
  Session session;
  bool sealed;
  Id file;
  std::map<std::string, haddr_t> groups, sets;  // absolute path -> object

 private:
  [[noreturn]] void damaged(const std::string& what) const;
  Id object(haddr_t address, const std::string& path) const;
  void walk(const std::string& path, haddr_t address, std::set<haddr_t>& visited, int depth);
  void follow(const std::string& path, const Link& link, std::set<haddr_t>& visited, int depth);
};

}  // namespace graft::hdf5
