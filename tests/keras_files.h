// HDF5 files as Keras writes them, made with the library itself: our writer has no lists of names.
#pragma once
#define H5_USE_110_API
#include <hdf5.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace graft::test {

class KerasMaker {
 public:
  explicit KerasMaker(const std::filesystem::path& path) {
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
    file_ = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  }
  ~KerasMaker() { H5Fclose(file_); }

  KerasMaker& group(const std::string& path) {
    hid_t create = H5Pcreate(H5P_LINK_CREATE);
    H5Pset_create_intermediate_group(create, 1);
    if (path != "/" && H5Lexists(file_, path.c_str(), H5P_DEFAULT) <= 0)
      H5Gclose(H5Gcreate2(file_, path.c_str(), create, H5P_DEFAULT, H5P_DEFAULT));
    H5Pclose(create);
    return *this;
  }

  // Fixed-length strings without NUL where one is as long as the longest, as h5py writes them.
  KerasMaker& names(const std::string& path, const std::string& name,
                    const std::vector<std::string>& values, bool varying = false) {
    size_t width = 1;
    for (auto& value : values) width = std::max(width, value.size());
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, varying ? H5T_VARIABLE : width);
    if (!varying) H5Tset_strpad(type, H5T_STR_NULLPAD);
    std::string fixed(width * values.size(), '\0');
    std::vector<const char*> pointers;
    for (size_t i = 0; i < values.size(); ++i) {
      values[i].copy(fixed.data() + i * width, width);
      pointers.push_back(values[i].c_str());
    }
    attribute(path, name, type, values.size(), varying ? (const void*)pointers.data() : fixed.data());
    H5Tclose(type);
    return *this;
  }

  KerasMaker& text(const std::string& path, const std::string& name, const std::string& value) {
    return names(path, name, {value});
  }
  KerasMaker& number(const std::string& path, const std::string& name, int64_t value) {
    attribute(path, name, H5T_NATIVE_INT64, 0, &value);
    return *this;
  }
  KerasMaker& empty_floats(const std::string& path, const std::string& name) {
    double none = 0;
    hsize_t zero = 0;
    hid_t space = H5Screate_simple(1, &zero, nullptr);
    in_space(path, name, H5T_NATIVE_DOUBLE, space, &none);
    return *this;
  }

  KerasMaker& tensor(const std::string& path, std::vector<hsize_t> dims, float first) {
    group(std::filesystem::path(path).parent_path());
    size_t count = 1;
    for (hsize_t d : dims) count *= d;
    std::vector<float> values(count);
    for (size_t i = 0; i < values.size(); ++i) values[i] = first + float(i);
    hid_t space = H5Screate_simple(int(dims.size()), dims.data(), nullptr);
    hid_t set = H5Dcreate2(file_, path.c_str(), H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT,
                           H5P_DEFAULT);
    H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
    H5Dclose(set), H5Sclose(space);
    return *this;
  }

  // A layer of vectors that begin with 1, 2, 3, ...
  KerasMaker& layer(const std::string& root, const std::string& name,
                    const std::vector<std::string>& weights) {
    group(root + name);
    for (size_t i = 0; i < weights.size(); ++i)
      tensor(root + name + "/" + weights[i], {2}, float(i + 1));
    return names(root + name, "weight_names", weights);
  }
  hid_t id() const { return file_; }

 private:
  void attribute(const std::string& path, const std::string& name, hid_t type, size_t count,
                 const void* values) {
    hsize_t n = count;
    hid_t space = count ? H5Screate_simple(1, &n, nullptr) : H5Screate(H5S_SCALAR);
    in_space(path, name, type, space, values);
  }
  void in_space(const std::string& path, const std::string& name, hid_t type, hid_t space,
                 const void* values) {
    group(path);
    hid_t holder = H5Oopen(file_, path.c_str(), H5P_DEFAULT);
    hid_t id = H5Acreate2(holder, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (id < 0) throw std::runtime_error(path + " " + name);
    H5Awrite(id, type, values);
    H5Aclose(id), H5Oclose(holder), H5Sclose(space);
  }
  hid_t file_;
};

inline const std::vector<std::string> kNorm = {"bn/gamma:0", "bn/beta:0", "bn/moving_mean:0",
                                               "bn/moving_variance:0"};

// The groups of Keras 3, numbered by class, with what else lies beside them.
inline void keras3(KerasMaker& m) {
  for (int k : {0, 1, 2, 10})
    m.tensor("/layers/conv2d" + (k ? "_" + std::to_string(k) : "") + "/vars/0", {2}, float(k));
  for (int i = 0; i < 12; ++i)
    m.tensor("/layers/dense/vars/" + std::to_string(i), {2}, float(i));
  m.tensor("/layers/dropout/seed_generator/vars/0", {2}, 0).tensor("/optimizer/vars/0", {2}, 0);
}

}  // namespace graft::test
