#include "io/torch_state.h"

#include <algorithm>
#include <optional>

#include "core/text.h"
#include "io/source_file.h"
#include "io/torch_ids.h"

namespace graft {
namespace {

using Kind = Pickle::Kind;
using Ref = Pickle::Ref;
using Entries = std::vector<std::pair<Ref, Ref>>;  // of a dict

constexpr const char* kWrappers[] = {"state_dict", "model_state_dict", "model",
                                     "net",        "network",          "weights",
                                     "params",     "state_dict_ema",   "model_ema"};
constexpr const char* kPrefixes[] = {"module.", "_orig_mod."};
constexpr const char* kRebuilds[] = {
    "torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter", "torch._tensor._rebuild_from_type_v2"};
constexpr const char* kOthers[] = {"collections.OrderedDict", "torch.Tensor",
                                   "torch.nn.parameter.Parameter"};
constexpr int kMaxWrapping = 4;  // rebuild calls around each other, and dicts around the state dict
constexpr size_t kMaxDims = 32;
// A value can stand in many places of a short file: what is copied for each place is limited.
constexpr size_t kMaxTensors = 20'000;
constexpr size_t kMaxSkipped = 1000;
constexpr size_t kMaxName = 512;  // bytes

template <class List>
bool contains(const List& list, std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

bool is_allowed(std::string_view global) {
  return contains(kRebuilds, global) || contains(kOthers, global) || elements_of(global);
}

std::string stripped(std::string_view name) {
  for (bool again = true; again;) {
    again = false;
    for (std::string_view prefix : kPrefixes)
      if (name.starts_with(prefix)) name.remove_prefix(prefix.size()), again = true;
  }
  return std::string(name);
}

class StateFinder {
 public:
  StateFinder(const Pickle& pickle, const std::string& file, const TorchTensors& known)
      : pickle_(pickle), file_(file), known_(known) {}

  TorchState find() {
    Ref dict = state_dict();
    require_allowed(dict);
    for (auto [key, value] : entries(dict)) add(key, value);
    return std::move(state_);
  }

 private:
  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> what, Args&&... args) const {
    fail(Fault::data, "{}: {}", file_, fmt::format(what, std::forward<Args>(args)...));
  }

  bool is_text(Ref v) const { return pickle_.kind(v) == Kind::text; }

  std::string_view function_of(Ref v) const {  // "" unless v is a call of a global
    if (pickle_.kind(v) != Kind::call) return {};
    Ref function = pickle_.function(v);
    return pickle_.kind(function) == Kind::global ? pickle_.text(function) : std::string_view();
  }

  bool is_ordered(Ref v) const { return function_of(v) == "collections.OrderedDict"; }

  bool is_dict(Ref v) const {
    bool pairs = pickle_.items(v).size() % 2 == 0;
    return pairs && (is_ordered(v) || pickle_.kind(v) == Kind::dict);
  }

  Entries entries(Ref dict) const {
    Entries result;
    std::span<const Ref> items = pickle_.items(dict);
    for (size_t i = 0; i < items.size(); i += 2) result.emplace_back(items[i], items[i + 1]);
    if (!is_ordered(dict)) return result;
    std::span<const Ref> arguments = pickle_.items(pickle_.arguments(dict));
    if (arguments.empty()) return result;
    for (Ref pair : pickle_.items(arguments[0])) {  // Python 2: OrderedDict([[key, value], ...])
      std::span<const Ref> both = pickle_.items(pair);
      if (both.size() != 2) refuse("an OrderedDict of {}", pickle_.describe(pair));
      result.emplace_back(both[0], both[1]);
    }
    return result;
  }

  // Also of kinds that require_allowed() refuses: sparse, quantised ...
  bool is_tensor(Ref v) const {
    if (pickle_.kind(v) == Kind::persistent) return !known_.empty();
    std::string_view function = function_of(v);
    return function.starts_with("torch._utils._rebuild_") ||
           function.starts_with("torch._tensor._rebuild_");
  }

  bool holds_tensors(Ref v) const {
    if (!is_dict(v)) return false;
    Entries all = entries(v);
    return std::any_of(all.begin(), all.end(), [&](auto entry) { return is_tensor(entry.second); });
  }

  // The state dict, from the root down through the dicts that wrap it.
  Ref state_dict() {
    Ref dict = pickle_.root();
    if (!is_dict(dict))
      refuse(
          "holds {}, not a state dict; nothing of it was run. Save model.state_dict() from PyTorch",
          pickle_.describe(dict));
    for (int depth = 0; depth < kMaxWrapping; ++depth) {
      std::optional<Ref> inner = wrapped(dict);
      if (!inner || (holds_tensors(dict) && !holds_tensors(*inner))) break;
      skip_beside(dict, *inner);
      dict = *inner;
    }
    if (!holds_tensors(dict) && !entries(dict).empty())
      refuse("holds no state dict: it has the keys {}; save model.state_dict() from PyTorch",
             keys(dict));
    return dict;
  }

  // What one of the known keys names: one with tensors in it, before one without.
  std::optional<Ref> wrapped(Ref dict) const {
    std::optional<Ref> found;
    Entries all = entries(dict);
    for (std::string_view wanted : kWrappers)
      for (auto [key, value] : all) {
        if (!is_text(key) || pickle_.text(key) != wanted || !is_dict(value)) continue;
        if (holds_tensors(value)) return value;
        if (!found) found = value;
      }
    return found;
  }

  std::string shown(Ref key) const {
    return is_text(key) ? escaped(pickle_.text(key).substr(0, kMaxName)) : pickle_.describe(key);
  }

  std::string keys(Ref dict) const {
    std::vector<std::string> names;
    for (auto [key, value] : entries(dict))
      if (names.size() < kMaxSkipped) names.push_back(shown(key));
    return enumerate(names, 10);
  }

  void skip(Ref key, Ref value) {
    if (state_.skipped.size() == kMaxSkipped) return;
    std::string kind = is_tensor(value) ? "a tensor" : pickle_.describe(value);
    state_.skipped.push_back(fmt::format("{} ({})", shown(key), kind));
  }

  void skip_beside(Ref dict, Ref inner) {
    for (auto [key, value] : entries(dict))
      if (value != inner) skip(key, value);
  }

  // Every global that the value leads to must be one of those allowed.
  void require_allowed(Ref from) const {
    std::vector<bool> seen(pickle_.size());
    std::vector<Ref> open;
    auto visit = [&](Ref v) {
      if (v == Pickle::kNothing || seen[v]) return;
      seen[v] = true;
      open.push_back(v);
    };
    visit(from);
    while (!open.empty()) {
      Ref v = open.back();
      open.pop_back();
      for (Ref item : pickle_.items(v)) visit(item);
      visit(pickle_.state(v));
      if (pickle_.kind(v) == Kind::call) visit(pickle_.function(v)), visit(pickle_.arguments(v));
      if (pickle_.kind(v) == Kind::global && !is_allowed(pickle_.text(v)))
        refuse(
            "its state dict names {}, which no plain tensor needs; nothing was run. If you trust "
            "the file, save its tensors from PyTorch as .safetensors",
            pickle_.describe(v));
    }
  }

  void add(Ref key, Ref value) {
    bool named = is_text(key) && pickle_.text(key).size() <= kMaxName;
    if (!named) refuse("the state dict has {} for a name", pickle_.describe(key));
    if (!is_tensor(value)) return skip(key, value);
    if (state_.tensors.size() == kMaxTensors) refuse("more than {} tensors", kMaxTensors);
    std::string name = stripped(pickle_.text(key));
    within(file_ + ": tensor " + escaped(name), [&] {
      bool fresh = state_.tensors.emplace(name, tensor(value)).second;
      GRAFT_CHECK(fresh, "there are two of this name");
      if (name != pickle_.text(key)) state_.names[name] = pickle_.text(key);
    });
  }

  TorchTensor tensor(Ref value) const {
    for (int depth = 0; depth < kMaxWrapping; ++depth) {
      if (pickle_.kind(value) == Kind::persistent) return known(value);
      std::string_view function = function_of(value);
      Ref arguments = pickle_.arguments(value);
      if (function == "torch._tensor._rebuild_from_type_v2") {  // (function, type, arguments, ...)
        std::span<const Ref> call = tuple_of(pickle_, arguments, 3);
        function = pickle_.text(call[0]), arguments = call[2];
      }
      if (function.starts_with("torch._utils._rebuild_tensor")) return window(arguments);
      value = tuple_of(pickle_, arguments, 1)[0];  // _rebuild_parameter(tensor, ...)
      GRAFT_CHECK(is_tensor(value), "{} stands where it should", pickle_.describe(value));
    }
    fail(Fault::data, "is wrapped more than {} times", kMaxWrapping);
  }

  TorchTensor known(Ref persistent) const {
    std::string key = key_of(pickle_, pickle_.items(persistent)[0]);
    auto tensor = known_.find(key);
    GRAFT_CHECK(tensor != known_.end(), "it is number {}, which the file lacks", escaped(key));
    return tensor->second;
  }

  TorchTensor window(Ref arguments) const {  // (storage, offset, size, stride, ...)
    std::span<const Ref> list = tuple_of(pickle_, arguments, 4);
    GRAFT_CHECK(pickle_.kind(list[0]) == Kind::persistent, "{} stands where its storage should",
                pickle_.describe(list[0]));
    Ref id = pickle_.items(list[0])[0];
    TorchTensor tensor{storage_of(pickle_, id), 0, numbers(list[2]), numbers(list[3])};
    int64_t offset = pickle_.integer(list[1]), view = view_offset(id);
    int64_t count = tensor.storage.count;
    bool inside = offset >= 0 && offset <= count && view >= 0 && view <= count;
    GRAFT_CHECK(inside, "begins at element {} of a view at {}", offset, view);
    tensor.offset = offset + view;
    check_window(tensor);
    return tensor;
  }

  // The sixth item of a storage's id, when there is one: (key, offset, count) of a view on it.
  int64_t view_offset(Ref id) const {
    std::span<const Ref> items = pickle_.items(id);
    if (items.size() < 6 || pickle_.kind(items[5]) == Kind::none) return 0;
    return pickle_.integer(tuple_of(pickle_, items[5], 3)[1]);
  }

  Shape numbers(Ref tuple) const {
    std::span<const Ref> items = tuple_of(pickle_, tuple, 0);
    GRAFT_CHECK(items.size() <= kMaxDims, "{} dimensions; {} are the most", items.size(), kMaxDims);
    Shape values;
    for (Ref item : items) values.push_back(pickle_.integer(item));
    return values;
  }

  const Pickle& pickle_;
  const std::string& file_;
  const TorchTensors& known_;
  TorchState state_;
};

}  // namespace

TorchState find_state(const Pickle& pickle, const std::string& file, const TorchTensors& known) {
  return StateFinder(pickle, file, known).find();
}

}  // namespace graft
