// Files as torch.save writes them, and as it never would, byte by byte for tests of their readers.
#pragma once
#include <zlib.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace graft::test {

template <class T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

template <class T>
std::string bytes_of(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

// ---- pickles: each expression is the bytes that leave its value on the stack --------------------

namespace py {

using List = std::vector<std::string>;
using Dict = std::vector<std::pair<std::string, std::string>>;

inline std::string joined(const List& items) {
  std::string all;
  for (const std::string& item : items) all += item;
  return all;
}

inline std::string text(const std::string& s) { return "X" + bytes_of(uint32_t(s.size())) + s; }
inline std::string old_text(const std::string& s) { return "U" + bytes_of(uint8_t(s.size())) + s; }
inline std::string number(int64_t n) {
  if (n == int32_t(n)) return "J" + bytes_of(int32_t(n));
  return std::string("\x8a\x08", 2) + bytes_of(n);
}
inline std::string real() { return "G" + std::string(8, '\x40'); }
inline std::string yes() { return "\x88"; }
inline std::string none() { return "N"; }
inline std::string tuple(const List& items) { return "(" + joined(items) + "t"; }
inline std::string list(const List& items) { return "](" + joined(items) + "e"; }
inline std::string entries(const Dict& items) {
  std::string all = "(";
  for (const auto& [key, value] : items) all += text(key) + value;
  return all + "u";
}
inline std::string dict(const Dict& items) { return "}" + entries(items); }
inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string call(const std::string& function, const List& arguments) {
  return function + tuple(arguments) + "R";
}
inline std::string ordered(const Dict& items) {
  return call(global("collections", "OrderedDict"), {}) + entries(items);
}
inline std::string persistent(const std::string& id) { return id + "Q"; }
inline std::string kept(const std::string& value, uint8_t index) {
  return value + "q" + bytes_of(index);
}
inline std::string recalled(uint8_t index) { return "h" + bytes_of(index); }
inline std::string numbers(const std::vector<int64_t>& values) {
  List items;
  for (int64_t value : values) items.push_back(number(value));
  return tuple(items);
}
inline std::string pickle(const std::string& value) { return "\x80\x02" + value + "."; }

struct Storage {
  std::string key, kind;  // "FloatStorage"
  int64_t count;
  std::string bytes;
  std::string device = "cpu", module = "torch", view = "";
};

inline std::string storage(const Storage& s) {
  List id{text("storage"), global(s.module, s.kind), text(s.key), text(s.device), number(s.count)};
  if (!s.view.empty()) id.push_back(s.view);
  return persistent(tuple(id));
}

inline std::string tensor(const Storage& s, int64_t offset, const std::vector<int64_t>& shape,
                          const std::vector<int64_t>& stride) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              {storage(s), number(offset), numbers(shape), numbers(stride), yes(),
               call(global("collections", "OrderedDict"), {})});
}

inline std::string old_tensor(const Storage& s, int64_t offset, const std::vector<int64_t>& shape,
                              const std::vector<int64_t>& stride) {
  return call(global("torch._utils", "_rebuild_tensor"),
              {storage(s), number(offset), numbers(shape), numbers(stride)});
}

}  // namespace py

// ---- zip ----------------------------------------------------------------------------------------

struct ZipMember {
  std::string name, bytes;
  bool descriptor = true;  // sizes and checksum behind the data, zeros before it, as torch does
  bool zip64 = false;
  uint16_t method = 0, flags = 0;
  int64_t declared = -1;  // size in the directory, when it lies
  uint32_t checksum_error = 0;
  int64_t at = -1;  // where the directory says it begins, when it has no bytes of its own
};

class ZipWriter {
 public:
  std::string write(const std::vector<ZipMember>& members) {
    for (const ZipMember& m : members) add(m);
    uint32_t at = uint32_t(file_.size());
    uint16_t count = uint16_t(members.size());
    return file_ + directory_ + "PK\x05\x06" + std::string(4, '\0') + bytes_of(count) +
           bytes_of(count) + bytes_of(uint32_t(directory_.size())) + bytes_of(at) +
           std::string(2, '\0');
  }

 private:
  void add(const ZipMember& m) {
    auto at = uint32_t(m.at < 0 ? int64_t(file_.size()) : m.at);
    uint32_t sum =
        uint32_t(crc32(0, reinterpret_cast<const Bytef*>(m.bytes.data()), uInt(m.bytes.size()))) ^
        m.checksum_error;
    auto size = uint64_t(m.declared < 0 ? int64_t(m.bytes.size()) : m.declared);
    bool behind = m.descriptor && !m.zip64;
    std::string sizes =
        m.zip64 ? std::string(8, '\xff') : bytes_of(uint32_t(size)) + bytes_of(uint32_t(size));
    std::string wide =
        m.zip64 ? "\x01" + std::string("\x00\x10\x00", 3) + bytes_of(size) + bytes_of(size) : "";
    std::string pad = "FB" + bytes_of(uint16_t(4)) + "ZZZZ";  // torch aligns with it, locally only
    std::string head =
        bytes_of(uint16_t(m.flags | (behind ? 8 : 0))) + bytes_of(m.method) + std::string(4, '\0');
    std::string lengths = bytes_of(uint16_t(m.name.size()));
    std::string local = "PK\x03\x04" + std::string("\x2d\x00", 2) + head +
                        (behind ? std::string(12, '\0') : bytes_of(sum) + sizes) + lengths +
                        bytes_of(uint16_t(wide.size() + pad.size())) + m.name + wide + pad +
                        m.bytes;
    if (behind) local += "PK\x07\x08" + bytes_of(sum) + sizes;
    if (m.at < 0) file_ += local;
    directory_ += "PK\x01\x02" + std::string("\x2d\x00\x2d\x00", 4) + head + bytes_of(sum) + sizes +
                  lengths + bytes_of(uint16_t(wide.size())) + std::string(10, '\0') + bytes_of(at) +
                  m.name + wide;
  }

  std::string file_, directory_;
};

inline std::string zip_of(const std::vector<ZipMember>& members) {
  return ZipWriter().write(members);
}

// ---- the three forms ----------------------------------------------------------------------------

using Storages = std::vector<py::Storage>;

inline std::vector<ZipMember> torch_members(const std::string& object, const Storages& storages,
                                            const std::string& root = "archive") {
  std::vector<ZipMember> members{{root + "/data.pkl", py::pickle(object)},
                                 {root + "/byteorder", "little"}};
  for (const py::Storage& s : storages) members.push_back({root + "/data/" + s.key, s.bytes});
  members.push_back({root + "/version", "3\n"});
  return members;
}

inline std::string torch_zip(const std::string& object, const Storages& storages) {
  return zip_of(torch_members(object, storages));
}

inline std::string torch_legacy(const std::string& object, const Storages& storages) {
  std::string file("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19\x2e\x80\x02M\xe9\x03.",
                   21);
  file += py::pickle(py::dict({{"little_endian", py::yes()}})) + py::pickle(object);
  py::List keys;
  for (const py::Storage& s : storages) keys.push_back(py::text(s.key));
  file += py::pickle(py::list(keys));
  for (const py::Storage& s : storages) file += bytes_of(s.count) + s.bytes;
  return file;
}

inline std::string octal(size_t value, size_t digits) {
  std::string text(digits, '0');
  for (size_t i = digits; i-- > 0; value /= 8) text[i] = char('0' + value % 8);
  return text;
}

inline std::string tar_of(const std::vector<std::pair<std::string, std::string>>& members) {
  std::string file;
  for (const auto& [name, bytes] : members) {
    std::string head = name + std::string(100 - name.size(), '\0') + octal(0644, 7) + '\0' +
                       octal(0, 7) + '\0' + octal(0, 7) + '\0' + octal(bytes.size(), 11) + '\0' +
                       octal(0, 11) + '\0' + std::string(8, ' ') + '0' + std::string(100, '\0') +
                       "ustar" + '\0' + "00";
    head.resize(512, '\0');
    size_t sum = 0;
    for (char c : head) sum += uint8_t(c);
    head.replace(148, 8, octal(sum, 6) + '\0' + ' ');
    file += head + bytes + std::string((512 - bytes.size() % 512) % 512, '\0');
  }
  return file + std::string(1024, '\0');
}

struct OldTensor {
  int64_t key, storage, offset;
  std::vector<int64_t> shape, stride;
};

// Keys of storages are numbers here; `object` refers to tensors by persistent(number(key)).
inline std::string torch_tar(const std::string& object, const Storages& storages,
                             const std::vector<OldTensor>& tensors, const py::List& views = {}) {
  std::string stored = py::pickle(py::number(int64_t(storages.size())));
  for (const py::Storage& s : storages)
    stored += py::pickle(py::tuple({py::number(std::stoll(s.key)), py::text(s.device),
                                    py::global(s.module, s.kind)})) +
              bytes_of(s.count) + s.bytes;
  stored += py::pickle(py::list(views));
  std::string windows = py::pickle(py::number(int64_t(tensors.size())));
  for (const OldTensor& t : tensors)
    windows += py::pickle(py::tuple({py::number(t.key), py::number(t.storage),
                                     py::global("torch", "FloatTensor")})) +
               bytes_of(int64_t(t.shape.size())) + bytes_of(t.shape) + bytes_of(t.stride) +
               bytes_of(t.offset);
  return tar_of({{"sys_info", py::pickle(py::dict({}))},
                 {"storages", stored},
                 {"tensors", windows},
                 {"pickle", py::pickle(object)}});
}

}  // namespace graft::test
