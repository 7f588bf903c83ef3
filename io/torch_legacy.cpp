#include "io/source_file.h"
#include "io/torch_forms.h"
#include "io/torch_ids.h"
#include "io/torch_state.h"

namespace graft {
namespace {

// 0x1950a86a20f9469cfc6c, as torch/serialization.py has it.
constexpr std::string_view kMagic = "\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19";
constexpr int64_t kProtocol = 1001;

// Reads the pickle at byte `at` and moves on behind it.
Pickle next_pickle(const InputFile& file, int64_t& at) {
  ByteStream bytes = ByteStream::of(file, at, file.size());
  Pickle pickle = Pickle::read(bytes);
  at += bytes.position();
  return pickle;
}

void check_magic(const InputFile& file, int64_t& at) {
  Pickle magic = next_pickle(file, at);
  bool torch = magic.kind(magic.root()) == Pickle::Kind::wide && magic.text(magic.root()) == kMagic;
  GRAFT_CHECK(torch,
              "{}: is a Python pickle, but none by torch.save; save the state_dict with that",
              file.name());
  Pickle version = next_pickle(file, at);
  bool known = version.kind(version.root()) == Pickle::Kind::integer &&
               version.integer(version.root()) == kProtocol;
  GRAFT_CHECK(known, "{}: is of a version of PyTorch's files that never was; get it again",
              file.name());
}

using Storages = std::map<std::string, TorchStorage>;

// All storages that the object names, also beside the state dict: only there stands how large the
// elements are that the file holds one after the other. Throws without naming the file.
Storages storages_of(const Pickle& object) {
  Storages storages;
  for (Pickle::Ref v = 0; v < object.size(); ++v) {
    if (object.kind(v) != Pickle::Kind::persistent) continue;
    Pickle::Ref id = object.items(v)[0];
    bool container = object.items(id).size() == 4;  // ('module', class, file, source): no storage
    if (container) continue;
    TorchStorage storage = storage_of(object, id);
    auto [known, fresh] = storages.emplace(storage.key, storage);
    GRAFT_CHECK(fresh || known->second == storage, "storage {} is of two types or sizes",
                escaped(storage.key));
  }
  return storages;
}

// Where the elements of each storage begin: an int64 count, then they, in the order of the keys.
std::map<std::string, int64_t> places_of(const InputFile& file, const Pickle& keys, int64_t at,
                                         const Storages& storages) {
  std::map<std::string, int64_t> places;
  for (Pickle::Ref ref : keys.items(keys.root())) {
    std::string key = within(file.name(), [&] { return key_of(keys, ref); });
    auto storage = storages.find(key);
    GRAFT_CHECK(storage != storages.end(), "{}: its object names no storage {}", file.name(),
                escaped(key));
    auto count = ByteStream::of(file, at, file.size()).number<int64_t>();
    GRAFT_CHECK(count == storage->second.count, "{}: storage {} has {} elements instead of {}",
                file.name(), escaped(key), count, storage->second.count);
    places[key] = at + 8;
    at += 8 + count * int64_t(storage->second.elements->bytes);
  }
  GRAFT_CHECK(at == file.size(), "{}: its storages end at byte {}, but it has {}: get it again",
              file.name(), at, file.size());
  return places;
}

}  // namespace

TorchFile read_torch_legacy(const std::filesystem::path& path) {
  InputFile file(path);
  int64_t at = 0;
  check_magic(file, at);
  next_pickle(file, at);  // the machine that wrote it
  Pickle object = next_pickle(file, at);
  Pickle keys = next_pickle(file, at);
  TorchState state = find_state(object, file.name());
  Storages storages = within(file.name(), [&] { return storages_of(object); });
  auto places = places_of(file, keys, at, storages);
  auto open = [&](const TorchStorage& storage) {
    auto place = places.find(storage.key);
    GRAFT_CHECK(place != places.end(), "{}: storage {} is missing", file.name(),
                escaped(storage.key));
    int64_t bytes = storage.count * int64_t(storage.elements->bytes);
    return ByteStream::of(file, place->second, place->second + bytes);
  };
  return {load_tensors(state.tensors, file.name(), open), std::move(state.skipped),
          std::move(state.names)};
}

}  // namespace graft
