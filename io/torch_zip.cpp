#include <algorithm>

#include "io/source_file.h"
#include "io/torch_forms.h"
#include "io/torch_state.h"
#include "io/zip.h"

namespace graft {
namespace {

// "archive/" of archive/data.pkl; the root has any name.
std::string root_of(const ZipArchive& archive) {
  for (const auto& [name, member] : archive.members())
    if (name.find('/') != name.npos && name.substr(name.find('/')) == "/data.pkl")
      return name.substr(0, name.find('/') + 1);
  fail(Fault::data,
       "{}: is a zip archive, but not one of PyTorch's weights: it has no data.pkl; give the "
       "weights as .pth, .safetensors or .h5",
       archive.name());
}

void check_kind(const ZipArchive& archive, const std::string& root) {
  GRAFT_CHECK(!archive.members().contains(root + "constants.pkl"),
              "{}: is a program of TorchScript; save the state_dict() of its module instead",
              archive.name());
  if (!archive.members().contains(root + "byteorder")) return;
  ByteStream bytes = archive.open(root + "byteorder");
  std::string order(size_t(std::min<int64_t>(bytes.left(), 16)), '\0');
  bytes.read(order.data(), order.size());
  GRAFT_CHECK(
      order == "little",
      "{}: its byteorder is {}, only little is read; save it again on a little-endian machine",
      archive.name(), escaped(order));
}

}  // namespace

TorchFile read_torch_zip(const std::filesystem::path& path) {
  ZipArchive archive(path);
  std::string root = root_of(archive);
  check_kind(archive, root);
  ByteStream bytes = archive.open(root + "data.pkl");
  Pickle object = Pickle::read(bytes);
  GRAFT_CHECK(bytes.left() == 0, "{}: {} bytes follow the pickle; get the file again", bytes.name(),
              bytes.left());
  TorchState state = find_state(object, archive.name());
  auto open = [&](const TorchStorage& storage) {
    ByteStream member = archive.open(root + "data/" + storage.key);
    int64_t expected = storage.count * int64_t(storage.elements->bytes);
    GRAFT_CHECK(member.left() == expected, "{}: has {} bytes instead of {}", member.name(),
                member.left(), expected);
    return member;
  };
  return {load_tensors(state.tensors, archive.name(), open), std::move(state.skipped),
          std::move(state.names)};
}

}  // namespace graft
