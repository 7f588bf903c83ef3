#include <algorithm>
#include <set>

#include "io/hdf5.h"
#include "io/hdf5_seal.h"
#include "io/hdf5_types.h"
#include "io/source_file.h"

namespace graft {
namespace {

using hdf5::Id;

const char* kSealText = "CRC-32C in the last 24 bytes; delete this attribute after an edit";

Id creation_list(hid_t kind) {  // without times: the same contents give the same bytes
  Id list(H5Pcreate(kind), H5Pclose);
  H5Pset_obj_track_times(list.get(), false);
  return list;
}

Id string_type(size_t width) {  // fixed, padded with NUL: no heap in the file
  Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), std::max<size_t>(width, 1));
  H5Tset_strpad(type.get(), H5T_STR_NULLPAD);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  return type;
}

Id space_of(const std::vector<hsize_t>& dims) {
  if (dims.empty()) return Id(H5Screate(H5S_SCALAR), H5Sclose);
  return Id(H5Screate_simple(int(dims.size()), dims.data(), nullptr), H5Sclose);
}

}  // namespace

struct Hdf5Writer::Impl {
  hdf5::LibraryLock lock = hdf5::lock_library();
  AtomicFile output;
  hdf5::Session session;
  Id file;
  std::set<std::string> groups{"/"};

  explicit Impl(const std::filesystem::path& path) : output(path) {
    session.output = &output;
    Id access = hdf5::access_list(session);
    Id create = creation_list(H5P_FILE_CREATE);
    file = Id(H5Fcreate("graft", H5F_ACC_TRUNC, create.get(), access.get()), H5Fclose);
    check(file.ok(), "/", "cannot create the HDF5 file");
    attribute("/", "checksum", string_type(std::char_traits<char>::length(kSealText)), {},
              kSealText);
  }

  ~Impl() {
    if (!file.ok()) return;
    if (!session.error)
      session.error =
          std::make_exception_ptr(Error(Fault::internal, "given up"));  // drops what is not written
    file.reset();
  }

  void check(bool done, const std::string& path, const char* what) const {
    if (session.error) std::rethrow_exception(session.error);
    if (!done) fail(Fault::internal, "{}: {}: {}", output.name(), escaped(path), what);
  }

  // A text that comes back as it was: HDF5 strings end at NUL.
  const std::string& plain(const std::string& text, const std::string& where) const {
    GRAFT_CHECK(text.find('\0') == text.npos, "{}: {}: text with a NUL byte cannot be stored",
                output.name(), escaped(where));
    return text;
  }

  void check_path(const std::string& path) const {
    bool good = path.size() > 1 && path[0] == '/' && path.back() != '/' &&
                path.find("//") == path.npos && (path + "/").find("/./") == path.npos;
    GRAFT_CHECK(good, "{}: \"{}\" is no name that HDF5 can hold", output.name(), escaped(path));
    plain(path, path);
  }

  void make_group(const std::string& path) {
    if (groups.contains(path)) return;
    check_path(path);
    make_group(path.substr(0, std::max<size_t>(path.rfind('/'), 1)));
    Id list = creation_list(H5P_GROUP_CREATE);
    Id group(H5Gcreate2(file.get(), path.c_str(), H5P_DEFAULT, list.get(), H5P_DEFAULT), H5Gclose);
    check(group.ok(), path, "cannot be made; a tensor has the name of a group");
    groups.insert(path);
  }

  Id make_set(const std::string& path, hid_t type, const std::vector<hsize_t>& dims,
              const void* data) {
    check_path(path);
    make_group(path.substr(0, std::max<size_t>(path.rfind('/'), 1)));
    Id list = creation_list(H5P_DATASET_CREATE);
    H5Pset_fill_time(list.get(), H5D_FILL_TIME_NEVER);
    Id space = space_of(dims);
    Id set(H5Dcreate2(file.get(), path.c_str(), type, space.get(), H5P_DEFAULT, list.get(),
                      H5P_DEFAULT),
           H5Dclose);
    check(set.ok(), path, "cannot be made; the name is taken");
    bool empty = std::find(dims.begin(), dims.end(), 0u) != dims.end();
    bool done = empty || H5Dwrite(set.get(), type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    check(done, path, "cannot be written");
    return set;
  }

  void attribute_of(hid_t holder, const std::string& path, const std::string& name, hid_t type,
                    const std::vector<hsize_t>& dims, const void* data) {
    GRAFT_CHECK(!plain(name, path).empty(), "{}: {}: an attribute without a name", output.name(),
                escaped(path));
    Id space = space_of(dims);
    Id id(H5Acreate2(holder, name.c_str(), type, space.get(), H5P_DEFAULT, H5P_DEFAULT), H5Aclose);
    check(id.ok() && H5Awrite(id.get(), type, data) >= 0, path, "an attribute cannot be written");
  }

  void text_of(hid_t holder, const std::string& path, const std::string& name,
               const std::string& value) {
    Id type = string_type(plain(value, path + " attribute " + name).size());
    attribute_of(holder, path, name, type.get(), {}, value.c_str());
  }

  void attribute(const std::string& path, const std::string& name, const Id& type,
                 const std::vector<hsize_t>& dims, const void* data) {
    Id holder(H5Oopen(file.get(), path.c_str(), H5P_DEFAULT), H5Oclose);
    check(holder.ok(), path, "does not exist");
    attribute_of(holder.get(), path, name, type.get(), dims, data);
  }
};

Hdf5Writer::Hdf5Writer(const std::filesystem::path& path) : impl_(std::make_unique<Impl>(path)) {}
Hdf5Writer::~Hdf5Writer() = default;

void Hdf5Writer::group(const std::string& path) { impl_->make_group(path); }

void Hdf5Writer::tensor(const std::string& path, const Tensor& t, const Attributes& attributes) {
  std::vector<hsize_t> dims(t.shape().begin(), t.shape().end());
  Id set = impl_->make_set(path, hdf5::stored_type(t.dtype()), dims, t.raw());
  impl_->text_of(set.get(), path, "dtype", name_of(t.dtype()));
  for (const auto& [name, value] : attributes) impl_->text_of(set.get(), path, name, value);
}

void Hdf5Writer::strings(const std::string& path, const std::vector<std::string>& values) {
  size_t width = 1;
  for (const std::string& v : values) width = std::max(width, impl_->plain(v, path).size());
  std::string bytes(width * values.size(), '\0');
  for (size_t i = 0; i < values.size(); ++i) values[i].copy(&bytes[i * width], values[i].size());
  impl_->make_set(path, string_type(width).get(), {values.size()}, bytes.data());
}

void Hdf5Writer::attribute(const std::string& path, const std::string& name,
                           const std::string& value) {
  impl_->attribute(path, name, string_type(impl_->plain(value, path).size()), {}, value.c_str());
}

void Hdf5Writer::attribute(const std::string& path, const std::string& name, int64_t value) {
  impl_->attribute(path, name, Id(H5Tcopy(H5T_STD_I64LE), H5Tclose), {}, &value);
}

void Hdf5Writer::attribute(const std::string& path, const std::string& name, double value) {
  impl_->attribute(path, name, Id(H5Tcopy(H5T_IEEE_F64LE), H5Tclose), {}, &value);
}

void Hdf5Writer::attribute(const std::string& path, const std::string& name,
                           std::span<const float> values) {
  impl_->attribute(path, name, Id(H5Tcopy(H5T_IEEE_F32LE), H5Tclose), {values.size()},
                   values.data());
}

void Hdf5Writer::commit(const std::filesystem::path& previous) {
  bool closed = H5Fclose(impl_->file.release()) >= 0;
  impl_->check(closed, "/", "cannot be closed");
  hdf5::append_seal(impl_->output);
  impl_->output.commit(previous);
}

}  // namespace graft
