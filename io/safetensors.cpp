#include "io/safetensors.h"

#include <algorithm>
#include <vector>

#include "io/elements.h"
#include "io/file.h"
#include "io/json.h"
#include "io/sniff.h"
#include "io/source_file.h"

namespace graft {
namespace {

using nlohmann::json;

constexpr int64_t kMaxHeader = 100'000'000;  // the limit of the format, in bytes
constexpr size_t kMaxRank = 32;

struct Entry {
  std::string name;
  const Elements* elements;
  Shape shape;
  uint64_t begin, end;  // in the buffer
};

class HeaderReader {
 public:
  explicit HeaderReader(const InputFile& file) : file_(file) {}

  int64_t read() {  // returns where the buffer begins
    uint64_t length = 0;
    GRAFT_CHECK(file_.size() >= 8, "{}: {} bytes are too few for a safetensors file", file_.name(),
                file_.size());
    file_.read(0, &length, 8);
    GRAFT_CHECK(length >= 2 && length <= uint64_t(std::min(kMaxHeader, file_.size() - 8)),
                "{}: its first 8 bytes promise a header of {} bytes, but the file has {} (and 100 "
                "MB is the limit): it was cut, or is no safetensors file",
                file_.name(), length, file_.size());
    std::string text(length, '\0');
    file_.read(8, text.data(), length);
    GRAFT_CHECK(text[0] == '{', "{}: the safetensors header does not begin with '{{'",
                file_.name());
    parse(text);
    check_ranges(uint64_t(file_.size()) - 8 - length);
    return int64_t(8 + length);
  }

  std::vector<Entry> entries;  // in the order of the buffer
  Metadata metadata;

 private:
  void parse(const std::string& text) {
    json header = parse_json(text, file_.name(), 4);
    for (const auto& [name, value] : header.items()) {
      if (name == "__metadata__")
        read_metadata(value);
      else
        entries.push_back(entry(name, value));
    }
  }

  void read_metadata(const json& value) {
    GRAFT_CHECK(value.is_object(), "{}: __metadata__ is no object", file_.name());
    for (const auto& [key, text] : value.items()) {
      GRAFT_CHECK(text.is_string(), "{}: __metadata__.{} is no string", file_.name(), escaped(key));
      metadata[key] = text.get<std::string>();
    }
  }

  const json& field(const std::string& name, const json& value, const char* key) const {
    GRAFT_CHECK(value.is_object() && value.size() == 3 && value.contains(key),
                "{}: tensor {}: wants exactly dtype, shape and data_offsets", file_.name(),
                escaped(name));
    return value[key];
  }

  std::vector<uint64_t> numbers(const std::string& name, const json& list) const {
    std::vector<uint64_t> values;
    GRAFT_CHECK(list.is_array() && list.size() <= kMaxRank,
                "{}: tensor {}: shape and data_offsets want lists of at most {} numbers",
                file_.name(), escaped(name), kMaxRank);
    for (const json& number : list) {
      GRAFT_CHECK(number.is_number_unsigned() && number.get<uint64_t>() <= INT64_MAX,
                  "{}: tensor {}: {} is no whole number in range", file_.name(), escaped(name),
                  escaped(number.dump()));
      values.push_back(number.get<uint64_t>());
    }
    return values;
  }

  Entry entry(const std::string& name, const json& value) const {
    const json& dtype = field(name, value, "dtype");
    const Elements* known =
        dtype.is_string() ? elements_named(dtype.get_ref<const std::string&>()) : nullptr;
    GRAFT_CHECK(known, "{}: tensor {}: elements of type {} cannot be read; save it as F32",
                file_.name(), escaped(name), escaped(dtype.dump()));
    auto dims = numbers(name, field(name, value, "shape"));
    auto range = numbers(name, field(name, value, "data_offsets"));
    GRAFT_CHECK(range.size() == 2 && range[0] <= range[1],
                "{}: tensor {}: data_offsets want [begin, end]", file_.name(), escaped(name));
    Entry e{name, known, Shape(dims.begin(), dims.end()), range[0], range[1]};
    check_size(e);
    return e;
  }

  void check_size(const Entry& e) const {
    using Wide = unsigned __int128;
    Wide bytes = e.elements->bytes;
    for (int64_t d : e.shape) {
      bytes *= Wide(d);
      GRAFT_CHECK(bytes <= Wide(INT64_MAX), "{}: tensor {}: shape {} is too large", file_.name(),
                  escaped(e.name), e.shape);
    }
    GRAFT_CHECK(bytes == e.end - e.begin,
                "{}: tensor {}: {} {} takes {} bytes, but data_offsets [{}, {}) hold {}",
                file_.name(), escaped(e.name), e.elements->name, e.shape, uint64_t(bytes), e.begin,
                e.end, e.end - e.begin);
  }

  void check_ranges(uint64_t buffer) {
    std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
      return std::tie(a.begin, a.end) < std::tie(b.begin, b.end);
    });
    uint64_t at = 0;
    for (const Entry& e : entries) {
      GRAFT_CHECK(e.begin == at, "{}: tensor {} begins at {} where {} was expected: a {}",
                  file_.name(), escaped(e.name), e.begin, at, e.begin > at ? "hole" : "overlap");
      at = e.end;
    }
    GRAFT_CHECK(at == buffer, "{}: its tensors take {} bytes, but {} follow the header: it was {}",
                file_.name(), at, buffer, at > buffer ? "cut, get it again" : "added to");
  }

  const InputFile& file_;
};

Tensor read_tensor(const InputFile& file, const Entry& e, int64_t offset) {
  ByteStream bytes = ByteStream::of(file, offset, offset + int64_t(e.end - e.begin));
  return read_elements(bytes, *e.elements, e.shape);
}

std::string header_of(const std::vector<TensorMap::const_pointer>& order, const Metadata& metadata,
                      const std::string& file) {
  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  for (const auto* item : order) {
    const auto& [name, tensor] = *item;
    GRAFT_CHECK(name != "__metadata__", "{}: a tensor cannot be named __metadata__", file);
    header[name] = {{"dtype", name_in_file(tensor.dtype())},
                    {"shape", tensor.shape()},
                    {"data_offsets", {at, at + tensor.bytes()}}};
    at += tensor.bytes();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& e) {
    fail(Fault::data, "{}: a name or the metadata is not UTF-8: {}", file, escaped(e.what()));
  }
  text.append((8 - text.size() % 8) % 8, ' ');  // tensors lie aligned
  return text;
}

}  // namespace

Safetensors read_safetensors(const std::filesystem::path& path) {
  InputFile file(path);
  Content content = sniff(file);
  if (content != Content::safetensors && content != Content::unknown)
    refuse(content, file.name(), "a safetensors file");
  HeaderReader header(file);
  int64_t buffer = header.read();
  Safetensors result;
  for (const Entry& e : header.entries)
    result.tensors.emplace(e.name, read_tensor(file, e, buffer + int64_t(e.begin)));
  result.metadata = std::move(header.metadata);
  return result;
}

void write_safetensors(const std::filesystem::path& path, const TensorMap& tensors,
                       const Metadata& metadata) {
  std::vector<TensorMap::const_pointer> order;
  for (const auto& item : tensors) order.push_back(&item);
  std::stable_sort(order.begin(), order.end(), [](auto* a, auto* b) {  // widest first: aligned
    return size_of(a->second.dtype()) > size_of(b->second.dtype());
  });
  AtomicFile file(path);
  std::string header = header_of(order, metadata, file.name());
  uint64_t length = header.size();
  file.append(&length, 8);
  file.append(header.data(), header.size());
  for (const auto* item : order) {
    file.append(item->second.raw(), item->second.bytes());
    item->second.put_away();
  }
  file.commit();
}

}  // namespace graft
