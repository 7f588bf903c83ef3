#include "io/checkpoint.h"

#include "io/hdf5.h"
#include "io/hdf5_seal.h"
#include "io/source_file.h"

namespace graft {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCheckpointFormat = "graft checkpoint";

Checkpoint read_one(const fs::path& path) {
  Hdf5Reader file(path);
  Checkpoint c;
  c.model = get_model(file);
  GRAFT_CHECK(file.text("/", "format") == kCheckpointFormat,
              "{}: is a model, not a checkpoint: nothing to resume; give it as --weights",
              file.name());
  GRAFT_CHECK(file.sealed(), "{}: its checksum is gone: the file was cut or edited", file.name());
  c.optimizer = get_tensors(file, "/optimizer");
  if (file.has("/extra")) c.extra = get_tensors(file, "/extra");
  for (const std::string& name : file.attributes("/integers"))
    c.integers[name] = file.integer("/integers", name);
  for (const std::string& name : file.attributes("/numbers"))
    c.numbers[name] = file.numbers("/numbers", name).at(0);
  for (const std::string& name : file.datasets("/text")) {
    std::vector<std::string> values = file.strings("/text/" + name);
    GRAFT_CHECK(values.size() == 1, "{}: /text/{}: {} texts", file.name(), escaped(name),
                values.size());
    c.text[name] = values[0];
  }
  if (file.has("/history")) c.history = file.strings("/history");
  return c;
}

// Undamaged by its checksum: then what is wrong with it is not for an older copy to mend.
bool is_whole(const fs::path& path) {
  try {
    InputFile file(path);
    return hdf5::check_seal(file) < file.size();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

fs::path previous_checkpoint(const fs::path& path) {
  fs::path previous = path;
  return previous.replace_filename(path.stem().string() + ".previous" + path.extension().string());
}

// A damaged newest is not kept: it would push out the previous one, which is good.
void write_checkpoint(const fs::path& path, const Checkpoint& c) {
  Hdf5Writer file(path);
  put_model(file, c.model, kCheckpointFormat);
  put_tensors(file, "/optimizer", c.optimizer);
  if (!c.extra.empty()) put_tensors(file, "/extra", c.extra);
  file.group("/integers");
  for (const auto& [name, value] : c.integers) file.attribute("/integers", name, value);
  file.group("/numbers");
  for (const auto& [name, value] : c.numbers) file.attribute("/numbers", name, value);
  file.group("/text");
  for (const auto& [name, value] : c.text) file.strings("/text/" + name, {value});
  if (!c.history.empty()) file.strings("/history", c.history);
  file.commit(is_whole(path) ? previous_checkpoint(path) : fs::path());
}

LoadedCheckpoint read_checkpoint(const fs::path& path) {
  try {
    return {read_one(path), path, ""};
  } catch (const Error& e) {
    fs::path previous = previous_checkpoint(path);
    std::error_code ignored;
    if (is_whole(path) || !fs::exists(previous, ignored)) throw;
    return {
        read_one(previous), previous,
        fmt::format("{}; resuming from the one before, {}", e.what(), escaped(previous.string()))};
  }
}

}  // namespace graft
