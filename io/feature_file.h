// A file of what one network makes of samples, sealed HDF5 (io/hdf5.h):
//   /            format, version, network: the 64 hex digits that say which network and how it ran
//   /keys        (n,32) u8, least recently used first
//   /features/0, /features/1, ...  (rows,...) the values in that order, some 32 MB in each
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "io/feature_store.h"

namespace graft {

// All entries have one shape and type. Whole or not at all; throws when it cannot be written.
void write_features(const std::filesystem::path& path, const std::string& network,
                    const std::vector<FeatureEntry>& entries);

// In the order of the file; where the values are more than `most_bytes`, the most recently used.
// Throws Fault::data when it is damaged, of another version or of another network, or when a value
// has not this shape and type.
std::vector<FeatureEntry> read_features(const std::filesystem::path& path,
                                        const std::string& network, const Shape& shape,
                                        DType dtype, int64_t most_bytes);

}  // namespace graft
