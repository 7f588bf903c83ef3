#include "io/feature_file.h"

#include <algorithm>

#include "io/hdf5.h"
#include "io/sniff.h"

namespace graft {
namespace {

constexpr const char* kFeatureFormat = "graft features";
constexpr int64_t kFeatureVersion = 1;
constexpr size_t kBlockBytes = size_t(32) << 20;

std::string block_path(size_t block) { return fmt::format("/features/{}", block); }

Tensor keys_of(const std::vector<FeatureEntry>& entries) {
  Tensor keys({int64_t(entries.size()), int64_t(sizeof(SampleKey))}, DType::u8);
  uint8_t* to = keys.mutable_data<uint8_t>();
  for (const FeatureEntry& e : entries) to = std::copy(e.key.begin(), e.key.end(), to);
  return keys;
}

Tensor stacked(std::span<const FeatureEntry> entries) {
  const Tensor& first = entries[0].value;
  Shape shape = first.shape();
  shape.insert(shape.begin(), int64_t(entries.size()));
  Tensor all(shape, first.dtype());
  char* to = static_cast<char*>(all.mutable_raw());
  for (const FeatureEntry& e : entries) {
    GRAFT_CHECK(e.value.shape() == first.shape() && e.value.dtype() == first.dtype(),
                "features: {} beside {}", e.value.shape(), first.shape());
    std::memcpy(to, e.value.raw(), e.value.bytes());
    to += e.value.bytes();
  }
  return all;
}

void check_header(const Hdf5Reader& file, const std::string& network) {
  GRAFT_CHECK(file.has_attribute("/", "format") && file.text("/", "format") == kFeatureFormat,
              "{}: is no file of features", file.name());
  const int64_t version = file.integer("/", "version");
  GRAFT_CHECK(version == kFeatureVersion, "{}: has version {}, this program reads {}", file.name(),
              version, kFeatureVersion);
  GRAFT_CHECK(file.sealed(), "{}: its checksum is gone: it was cut or edited", file.name());
  GRAFT_CHECK(file.text("/", "network") == network, "{}: is of another network", file.name());
}

SampleKey key_at(const Tensor& keys, int64_t row) {
  SampleKey key;
  std::copy_n(keys.data<uint8_t>() + row * int64_t(key.size()), key.size(), key.begin());
  return key;
}

}  // namespace

void write_features(const std::filesystem::path& path, const std::string& network,
                    const std::vector<FeatureEntry>& entries) {
  GRAFT_CHECK(!entries.empty(), "features: nothing to write");
  Hdf5Writer file(path);
  file.attribute("/", "format", std::string(kFeatureFormat));
  file.attribute("/", "version", kFeatureVersion);
  file.attribute("/", "network", network);
  file.tensor("/keys", keys_of(entries));
  const size_t each = std::max<size_t>(1, entries[0].value.bytes());
  const size_t rows = std::max<size_t>(1, kBlockBytes / each);
  std::span<const FeatureEntry> rest(entries);
  for (size_t block = 0; !rest.empty(); ++block) {
    const size_t n = std::min(rows, rest.size());
    file.tensor(block_path(block), stacked(rest.first(n)));
    rest = rest.subspan(n);
  }
  file.commit();
}

std::vector<FeatureEntry> read_features(const std::filesystem::path& path,
                                        const std::string& network, const Shape& shape,
                                        DType dtype, int64_t most_bytes) {
  InputFile bytes(path);
  GRAFT_CHECK(sniff(bytes) == Content::hdf5, "{}: is no HDF5 file", bytes.name());
  Hdf5Reader file(std::move(bytes));
  check_header(file, network);
  const Tensor keys = file.tensor("/keys");
  GRAFT_CHECK(keys.dtype() == DType::u8 && keys.rank() == 2 &&
                  keys.dim(1) == int64_t(sizeof(SampleKey)),
              "{}: /keys has shape {}", file.name(), keys.shape());
  const int64_t each = std::max<int64_t>(1, element_count(shape) * int64_t(size_of(dtype)));
  const int64_t first = std::max<int64_t>(0, keys.dim(0) - most_bytes / each);
  std::vector<FeatureEntry> entries;
  int64_t seen = 0;
  for (size_t block = 0; seen < keys.dim(0); ++block) {
    const Tensor values = file.tensor(block_path(block));
    GRAFT_CHECK(values.rank() > 0 && values.dim(0) > 0 && values.dtype() == dtype &&
                    Shape(values.shape().begin() + 1, values.shape().end()) == shape &&
                    values.dim(0) <= keys.dim(0) - seen,
                "{}: {} has shape {} for values of {}", file.name(), block_path(block),
                values.shape(), shape);
    for (int64_t row = 0; row < values.dim(0); ++row, ++seen)
      if (seen >= first)  // a copy each: it can be given up alone
        entries.push_back({key_at(keys, seen), values.rows(row, row + 1).reshape(shape).clone()});
  }
  return entries;
}

}  // namespace graft
