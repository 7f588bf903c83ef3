#include "io/torch_ids.h"

namespace graft {
namespace {

using Kind = Pickle::Kind;
using Ref = Pickle::Ref;

constexpr int64_t kMaxCount = int64_t(1) << 40;  // elements of a storage: no file has so many
constexpr size_t kMaxKey = 512;                  // bytes: one text can be the key of many tensors

}  // namespace

std::span<const Ref> tuple_of(const Pickle& pickle, Ref tuple, size_t least) {
  std::span<const Ref> items = pickle.items(tuple);
  GRAFT_CHECK(pickle.kind(tuple) == Kind::tuple && items.size() >= least,
              "{} stands where a tuple of {} should", pickle.describe(tuple), least);
  return items;
}

std::string key_of(const Pickle& pickle, Ref key) {
  if (pickle.kind(key) != Kind::text) return std::to_string(pickle.integer(key));
  GRAFT_CHECK(pickle.text(key).size() <= kMaxKey, "a key of {} bytes", pickle.text(key).size());
  return std::string(pickle.text(key));
}

const Elements* elements_of(std::string_view storage_class) {
  for (std::string_view module : {"torch.cuda.", "torch."})
    if (storage_class.starts_with(module))
      return elements_of_torch(storage_class.substr(module.size()));
  return nullptr;
}

const Elements& elements_of(const Pickle& pickle, Ref storage) {
  bool global = pickle.kind(storage) == Kind::global;
  const Elements* found = global ? elements_of(pickle.text(storage)) : nullptr;
  GRAFT_CHECK(found, "elements of {} cannot be read; save it as float32", pickle.describe(storage));
  return *found;
}

TorchStorage storage_of(const Pickle& pickle, Ref id) {
  std::span<const Ref> items = tuple_of(pickle, id, 5);
  bool storage = pickle.kind(items[0]) == Kind::text && pickle.text(items[0]) == "storage";
  GRAFT_CHECK(storage, "{} stands where 'storage' should", pickle.describe(items[0]));
  TorchStorage result{key_of(pickle, items[2]), &elements_of(pickle, items[1]),
                      pickle.integer(items[4])};
  GRAFT_CHECK(result.count >= 0 && result.count <= kMaxCount, "a storage of {} elements",
              result.count);
  return result;
}

}  // namespace graft
