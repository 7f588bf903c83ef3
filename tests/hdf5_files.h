// HDF5 files that our writer never makes, by the library itself.
#pragma once
#define H5_USE_110_API
#include <hdf5.h>

#include <filesystem>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

namespace graft::test {

// A file made with the library itself; ids are closed with the file.
inline void make(const std::filesystem::path& path, const std::function<void(hid_t)>& fill) {
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  hid_t access = H5Pcreate(H5P_FILE_ACCESS);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access);
  if (file < 0) throw std::runtime_error("cannot make " + path.string());
  fill(file);
  H5Fclose(file);
  H5Pclose(access);
}

inline hid_t dataset(hid_t file, const char* name, hid_t type, std::vector<hsize_t> dims, const void* data,
              hid_t memory, hid_t create = H5P_DEFAULT) {
  hid_t space = dims.empty() ? H5Screate(H5S_SCALAR)
                             : H5Screate_simple(int(dims.size()), dims.data(), nullptr);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, create, H5P_DEFAULT);
  bool done = !data || H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
  if (set < 0 || !done) throw std::runtime_error(name);
  H5Sclose(space);
  return set;
}

}  // namespace graft::test
