#include <algorithm>
#include <functional>

#include "core/check.h"
#include "io/hdf5.h"
#include "io/hdf5_tree.h"
#include "io/hdf5_trial.h"
#include "io/hdf5_types.h"
#include "io/source_file.h"

namespace graft {
namespace {

using hdf5::Id;
using Wide = unsigned __int128;

constexpr size_t kMaxAttributes = 100'000;
constexpr int64_t kLarge = 1 << 14;  // elements of a tensor

herr_t collect_name(hid_t, const char* name, const H5A_info_t*, void* names) try {
  auto& list = *static_cast<std::vector<std::string>*>(names);
  if (list.size() >= kMaxAttributes) return -1;
  list.emplace_back(name);
  return 0;
} catch (const std::exception&) {
  return -1;
}

// "abc\0\0" by the type's padding rule.
std::string unpadded(std::string text, H5T_str_t padding) {
  if (padding == H5T_STR_NULLTERM) return text.substr(0, text.find('\0'));
  size_t last = text.find_last_not_of(padding == H5T_STR_SPACEPAD ? ' ' : '\0');
  return text.substr(0, last + 1);
}

}  // namespace

struct Hdf5Reader::Impl : hdf5::Tree {
  using Tree::Tree;

  Id dataset(const std::string& path) const {
    GRAFT_CHECK(sets.contains(path), "{}: has no dataset {}", name(), escaped(path));
    Id set = object(path);
    Id list(H5Dget_create_plist(set.get()), H5Pclose);
    check(list.ok(), path, "its layout cannot be read");
    H5D_layout_t layout = H5Pget_layout(list.get());
    GRAFT_CHECK(layout != H5D_VIRTUAL, "{}: {}: is a view into other files, which is not followed",
                name(), escaped(path));
    GRAFT_CHECK(H5Pget_external_count(list.get()) == 0,
                "{}: {}: keeps its data in another file, which is not followed", name(),
                escaped(path));
    GRAFT_CHECK(layout != H5D_CHUNKED,
                "{}: {}: is stored in chunks, which graft does not read; rewrite the file with "
                "`h5repack -l CONTI -f NONE IN OUT`",
                name(), escaped(path));
    check(layout == H5D_CONTIGUOUS || layout == H5D_COMPACT, path, "has an unknown layout");
    return set;
  }

  // Shape of what holds `width` bytes per element; the product is checked against `limit`.
  Shape shape_of(hid_t space, size_t width, const std::string& where, uint64_t limit) const {
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_ndims(space);
    check(rank >= 0 && rank <= H5S_MAX_RANK && H5Sget_simple_extent_type(space) != H5S_NULL, where,
          "has no shape");
    check(H5Sget_simple_extent_dims(space, dims, nullptr) >= 0, where, "has no shape");
    Wide bytes = width;
    for (int i = 0; i < rank; ++i) {
      bytes = dims[i] && bytes > Wide(INT64_MAX) ? bytes : bytes * dims[i];
      GRAFT_CHECK(dims[i] <= INT64_MAX, "{}: {}: dimension {} is {}", name(), escaped(where), i,
                  dims[i]);
    }
    GRAFT_CHECK(bytes <= limit, "{}: {}: its shape {} needs more bytes than the file has", name(),
                escaped(where), std::vector<hsize_t>(dims, dims + rank));
    return Shape(dims, dims + rank);
  }

  // The declared bytes are really there: written once, and inside the file.
  void check_stored(hid_t set, uint64_t bytes, const std::string& path) const {
    uint64_t stored = H5Dget_storage_size(set);
    GRAFT_CHECK(stored == bytes, "{}: {}: declares {} bytes but stores {}{}", name(), escaped(path),
                bytes, stored, stored ? "" : ": it was never written");
    haddr_t offset = bytes ? H5Dget_offset(set) : HADDR_UNDEF;  // undefined when compact
    bool inside = offset == HADDR_UNDEF ||
                  (offset <= haddr_t(session.end) && bytes <= haddr_t(session.end) - offset);
    GRAFT_CHECK(inside, "{}: {}: {} bytes at offset {} pass the end of the file", name(),
                escaped(path), bytes, offset);
  }

  // Strings of any of HDF5's kinds; `read` is H5Dread or H5Aread with a memory type.
  std::vector<std::string> strings_of(Id type, Id space, const std::string& where,
                                      const std::function<herr_t(hid_t, void*)>& read) const {
    check(type.ok() && space.ok(), where, "has no type");
    if (H5Sget_simple_extent_npoints(space.get()) == 0) return {};
    GRAFT_CHECK(H5Tget_class(type.get()) == H5T_STRING, "{}: {}: holds no text", name(),
                escaped(where));
    size_t width = H5Tget_size(type.get());
    check(width > 0, where, "has strings of width 0");
    size_t count = size_t(element_count(shape_of(space.get(), width, where, session.end)));
    std::vector<std::string> values(count);
    if (count == 0) return values;
    if (H5Tis_variable_str(type.get()) > 0) {
      std::vector<char*> texts(count, nullptr);
      bool done = read(type.get(), texts.data()) >= 0;
      for (size_t i = 0; done && i < count; ++i) values[i] = texts[i] ? texts[i] : "";
      H5Dvlen_reclaim(type.get(), space.get(), H5P_DEFAULT, texts.data());
      check(done, where, "cannot be read");
      return values;
    }
    std::string bytes(count * width, '\0');
    check(read(type.get(), bytes.data()) >= 0, where, "cannot be read");
    H5T_str_t padding = H5Tget_strpad(type.get());
    for (size_t i = 0; i < count; ++i)
      values[i] = unpadded(bytes.substr(i * width, width), padding);
    return values;
  }

  Id attribute(const std::string& path, const std::string& attribute) const {
    Id holder = object(path);
    GRAFT_CHECK(H5Aexists(holder.get(), attribute.c_str()) > 0, "{}: {} has no attribute {}",
                name(), escaped(path), escaped(attribute));
    Id id(H5Aopen(holder.get(), attribute.c_str(), H5P_DEFAULT), H5Aclose);
    check(id.ok(), path, "has an attribute that does not open");
    return id;
  }

  // Numbers of a class as T, which `memory` describes.
  template <class T>
  std::vector<T> values_of(const std::string& path, const std::string& name, hid_t memory,
                           bool whole) const {
    Id id = attribute(path, name);
    std::string where = path + " attribute " + name;
    Id type(H5Aget_type(id.get()), H5Tclose), space(H5Aget_space(id.get()), H5Sclose);
    auto element = type.ok() ? hdf5::element_of(type.get()) : std::nullopt;
    bool is_whole = element && H5Tget_class(type.get()) == H5T_INTEGER;
    GRAFT_CHECK(element && (is_whole || !whole), "{}: {}: holds no {}", this->name(),
                escaped(where), whole ? "whole number" : "numbers");
    size_t width = H5Tget_size(type.get());
    Shape shape = shape_of(space.get(), width, where, uint64_t(session.end));
    std::vector<T> values(size_t(element_count(shape)));
    if (!values.empty()) check(H5Aread(id.get(), memory, values.data()) >= 0, where, "unreadable");
    return values;
  }

  std::vector<std::string> texts(const std::string& path, const std::string& name) const {
    Id id = attribute(path, name);
    Id type(H5Aget_type(id.get()), H5Tclose), space(H5Aget_space(id.get()), H5Sclose);
    return strings_of(std::move(type), std::move(space), path + " attribute " + name,
                      [&](hid_t memory, void* to) { return H5Aread(id.get(), memory, to); });
  }

  struct Values {  // of a tensor that can be read
    Id set, type;  // as the file has them
    Shape shape;
    hdf5::Element element;
  };

  // bfloat16 by the attribute: ours are numbers of 16 bits, those of Keras 3 are bytes of no type.
  bool is_brain(hid_t set, hid_t type, const std::string& path) const {
    bool ours = H5Tequal(type, H5T_STD_U16LE) > 0;
    bool keras = H5Tget_class(type) == H5T_OPAQUE && H5Tget_size(type) == 2;
    if ((!ours && !keras) || H5Aexists(set, "dtype") <= 0) return false;
    return texts(path, "dtype") == std::vector<std::string>{ours ? "bf16" : "bfloat16"};
  }

  Values values(const std::string& path) const {
    Id set = dataset(path);
    Id type(H5Dget_type(set.get()), H5Tclose), space(H5Dget_space(set.get()), H5Sclose);
    check(type.ok() && space.ok(), path, "has no type");
    auto element = hdf5::element_of(type.get());
    if (is_brain(set.get(), type.get(), path)) element = {DType::bf16, type.get()};
    GRAFT_CHECK(element, "{}: {}: its element type cannot be read; save it as 32-bit float", name(),
                escaped(path));
    size_t width = H5Tget_size(type.get());
    Shape shape = shape_of(space.get(), width, path, uint64_t(session.end));
    check_stored(set.get(), uint64_t(element_count(shape)) * width, path);
    return {std::move(set), std::move(type), std::move(shape), *element};
  }
};

Hdf5Reader::Hdf5Reader(const std::filesystem::path& path) : Hdf5Reader(InputFile(path)) {}

Hdf5Reader::Hdf5Reader(InputFile file) : impl_(std::make_unique<Impl>(std::move(file))) {
  hdf5::require_survival(impl_->name(), [&] {
    impl_->open();
    try_all();
  });
  impl_->open();
}

// Whatever the library can be asked about this file, but no large tensors: their bytes lie there as
// they are, and that they do is checked.
void Hdf5Reader::try_all() const {
  auto attempt = [](auto read) {
    try {
      read();
    } catch (const Error&) {  // of this one item, for whoever wants that
    }
  };
  auto attempt_attributes = [&](const std::string& path) {
    for (const std::string& name : attributes(path)) {
      attempt([&] { texts(path, name); });
      attempt([&] { integer(path, name); });
      attempt([&] { numbers(path, name); });
    }
  };
  for (const auto& group : impl_->groups) attempt([&] { attempt_attributes(group.first); });
  for (const auto& set : impl_->sets) {
    const std::string& path = set.first;
    attempt([&] { attempt_attributes(path); });
    attempt([&] { strings(path); });
    attempt([&] {
      if (element_count(impl_->values(path).shape) <= kLarge) tensor(path);
    });
  }
}

Hdf5Reader::~Hdf5Reader() = default;
Hdf5Reader::Hdf5Reader(Hdf5Reader&&) noexcept = default;

const std::string& Hdf5Reader::name() const { return impl_->name(); }
bool Hdf5Reader::sealed() const { return impl_->sealed; }

bool Hdf5Reader::has(const std::string& path) const {
  return impl_->groups.contains(path) || impl_->sets.contains(path);
}

std::vector<std::string> Hdf5Reader::datasets(const std::string& group) const {
  std::string prefix = group == "/" ? group : group + "/";
  std::vector<std::string> names;
  for (auto at = impl_->sets.lower_bound(prefix);
       at != impl_->sets.end() && at->first.starts_with(prefix); ++at)
    names.push_back(at->first.substr(prefix.size()));
  return names;
}

Tensor Hdf5Reader::tensor(const std::string& path) const {
  Impl::Values values = impl_->values(path);
  Tensor tensor(std::move(values.shape), values.element.dtype);
  if (tensor.size() == 0) return tensor;
  bool done = H5Dread(values.set.get(), values.element.memory, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                      tensor.mutable_raw()) >= 0;
  impl_->check(done, path, "cannot be read");
  return tensor;
}

std::vector<std::string> Hdf5Reader::strings(const std::string& path) const {
  Id set = impl_->dataset(path);
  Id type(H5Dget_type(set.get()), H5Tclose), space(H5Dget_space(set.get()), H5Sclose);
  uint64_t count = uint64_t(std::max<hssize_t>(0, H5Sget_simple_extent_npoints(space.get())));
  size_t width = H5Tget_size(type.get());
  GRAFT_CHECK(Wide(count) * width <= Wide(impl_->session.end),
              "{}: {}: declares more text than the file has", name(), escaped(path));
  impl_->check_stored(set.get(), count * width, path);
  return impl_->strings_of(std::move(type), std::move(space), path, [&](hid_t memory, void* to) {
    return H5Dread(set.get(), memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to);
  });
}

std::vector<std::string> Hdf5Reader::attributes(const std::string& path) const {
  Id holder = impl_->object(path);
  std::vector<std::string> names;
  int done =
      H5Aiterate2(holder.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, collect_name, &names);
  impl_->check(done >= 0, path, "its attributes cannot be listed");
  std::sort(names.begin(), names.end());
  return names;
}

bool Hdf5Reader::has_attribute(const std::string& path, const std::string& name) const {
  return H5Aexists(impl_->object(path).get(), name.c_str()) > 0;
}

std::vector<std::string> Hdf5Reader::texts(const std::string& path, const std::string& name) const {
  return impl_->texts(path, name);
}

std::string Hdf5Reader::text(const std::string& path, const std::string& name) const {
  std::vector<std::string> values = texts(path, name);
  GRAFT_CHECK(values.size() == 1, "{}: {} attribute {}: {} texts instead of one", this->name(),
              escaped(path), escaped(name), values.size());
  return values[0];
}

int64_t Hdf5Reader::integer(const std::string& path, const std::string& name) const {
  auto values = impl_->values_of<int64_t>(path, name, H5T_NATIVE_INT64, true);
  GRAFT_CHECK(values.size() == 1, "{}: {} attribute {}: {} numbers instead of one", this->name(),
              escaped(path), escaped(name), values.size());
  return values[0];
}

std::vector<double> Hdf5Reader::numbers(const std::string& path, const std::string& name) const {
  return impl_->values_of<double>(path, name, H5T_NATIVE_DOUBLE, false);
}

}  // namespace graft
