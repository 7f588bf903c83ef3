#include "io/source_file.h"
#include "io/tar.h"
#include "io/torch_forms.h"
#include "io/torch_ids.h"
#include "io/torch_state.h"

namespace graft {
namespace {

constexpr int64_t kMaxParts = 100'000;  // storages or tensors

class TarReader {
 public:
  explicit TarReader(const InputFile& file) : file_(file), members_(tar_members(file)) {
    for (const char* name : {"storages", "tensors", "pickle"})
      GRAFT_CHECK(members_.contains(name),
                  "{}: is a tar archive, but not one of PyTorch's weights: it has no {}; unpack it "
                  "with tar xf",
                  file.name(), name);
  }

  TorchFile read() {
    read_storages();
    read_tensors();
    enter("pickle");
    TorchState state = find_state(pickle(), file_.name(), tensors_);
    auto open = [&](const TorchStorage& storage) {
      return ByteStream::of(file_, places_.at(storage.key),
                            places_.at(storage.key) + size_of(storage));
    };
    return {load_tensors(state.tensors, file_.name(), open), std::move(state.skipped),
          std::move(state.names)};
  }

 private:
  static int64_t size_of(const TorchStorage& storage) {
    return storage.count * int64_t(storage.elements->bytes);
  }

  void enter(const char* member) {
    at_ = members_.at(member).begin;
    end_ = members_.at(member).end;
  }

  Pickle pickle() {
    ByteStream bytes = ByteStream::of(file_, at_, end_);
    Pickle read = Pickle::read(bytes);
    at_ += bytes.position();
    return read;
  }

  template <class F>
  auto in_file(F f) const {
    return within(file_.name(), f);
  }

  int64_t parts() {
    Pickle count = pickle();
    int64_t value = in_file([&] { return count.integer(count.root()); });
    GRAFT_CHECK(value >= 0 && value <= kMaxParts, "{}: promises {} parts", file_.name(), value);
    return value;
  }

  // For each a pickle (key, device, class), an int64 count and the elements; then a pickle of views
  // (key, key of what it is a part of, offset, count).
  void read_storages() {
    enter("storages");
    for (int64_t i = parts(); i > 0; --i) {
      Pickle about = pickle();
      auto count = ByteStream::of(file_, at_, end_).number<int64_t>();
      at_ += 8;
      in_file([&] { add_storage(about, count); });
    }
    Pickle views = pickle();
    in_file([&] {
      for (Pickle::Ref view : views.items(views.root())) add_view(views, view);
    });
  }

  void add_storage(const Pickle& about, int64_t count) {
    auto list = tuple_of(about, about.root(), 3);
    TorchStorage storage{key_of(about, list[0]), &elements_of(about, list[2]), count};
    int64_t most = (end_ - at_) / int64_t(storage.elements->bytes);
    GRAFT_CHECK(count >= 0 && count <= most,
                "storage {} has {} elements, but there are bytes for {}", escaped(storage.key),
                count, most);
    places_[storage.key] = at_;
    at_ += size_of(storage);
    windows_[storage.key] = {storage, 0, {count}, {1}};
  }

  void add_view(const Pickle& views, Pickle::Ref view) {
    auto list = tuple_of(views, view, 4);
    TorchTensor window = window_of(key_of(views, list[1]));
    int64_t offset = views.integer(list[2]);
    GRAFT_CHECK(offset >= 0 && offset <= window.storage.count, "a view begins at element {} of {}",
                offset, window.storage.count);
    window.offset += offset;
    window.shape = {views.integer(list[3])};
    check_window(window);
    windows_[key_of(views, list[0])] = window;
  }

  const TorchTensor& window_of(const std::string& key) const {
    auto found = windows_.find(key);
    GRAFT_CHECK(found != windows_.end(), "storage {} is missing", escaped(key));
    return found->second;
  }

  // For each a pickle (key, key of its storage, class), then int32 rank, 4 bytes that mean nothing,
  // and int64 sizes, strides and offset.
  void read_tensors() {
    enter("tensors");
    for (int64_t i = parts(); i > 0; --i) {
      Pickle about = pickle();
      ByteStream bytes = ByteStream::of(file_, at_, end_);
      TorchTensor read = window(bytes);
      in_file([&] { add_tensor(about, std::move(read)); });
      at_ += bytes.position();
    }
  }

  TorchTensor window(ByteStream& bytes) const {
    auto rank = bytes.number<int32_t>();
    bytes.number<int32_t>();
    GRAFT_CHECK(rank >= 0 && rank <= 32, "{}: a tensor of {} dimensions", file_.name(), rank);
    TorchTensor t{{}, 0, Shape(size_t(rank)), Shape(size_t(rank))};
    for (int64_t& d : t.shape) d = bytes.number<int64_t>();
    for (int64_t& d : t.stride) d = bytes.number<int64_t>();
    t.offset = bytes.number<int64_t>();
    return t;
  }

  void add_tensor(const Pickle& about, TorchTensor tensor) {
    auto list = tuple_of(about, about.root(), 3);
    const TorchTensor& on = window_of(key_of(about, list[1]));
    bool inside = tensor.offset >= 0 && tensor.offset <= on.storage.count;
    GRAFT_CHECK(inside, "tensor {} begins at element {} of {}", escaped(key_of(about, list[0])),
                tensor.offset, on.storage.count);
    tensor.storage = on.storage;
    tensor.offset += on.offset;
    check_window(tensor);
    tensors_[key_of(about, list[0])] = std::move(tensor);
  }

  const InputFile& file_;
  std::map<std::string, TarMember> members_;
  int64_t at_ = 0, end_ = 0;               // in the file, within the member entered
  std::map<std::string, int64_t> places_;  // where the elements of storages begin
  TorchTensors windows_, tensors_;         // by key: storages and views on them, tensors
};

}  // namespace

TorchFile read_torch_tar(const std::filesystem::path& path) {
  InputFile file(path);
  return TarReader(file).read();
}

}  // namespace graft
