#include "io/pickle.h"

#include <algorithm>

#include "io/source_file.h"

namespace graft {

// About 20,000 tensors, of 30 operations each; one value takes up to 72 bytes.
constexpr uint32_t kMaxOperations = 600'000;
constexpr size_t kMaxText = size_t(64) << 20;  // bytes, all together
constexpr size_t kMaxName = 1024;              // bytes of a module's or a function's name

class PickleMachine {
 public:
  explicit PickleMachine(ByteStream& bytes) : bytes_(bytes) {}

  Pickle run() {
    while (bytes_.left() > 0) {
      at_ = bytes_.position();
      auto operation = bytes_.number<uint8_t>();
      check(++operations_ <= kMaxOperations, "has more than {} operations", kMaxOperations);
      if (operation == '.') return finish();
      step(operation);
    }
    refuse("ends before its STOP: it was cut");
  }

 private:
  using Kind = Pickle::Kind;
  using Ref = Pickle::Ref;
  using Value = Pickle::Value;

  // The operations as in Python's pickletools.py, under the bytes they are written with.
  // clang-format off
  void step(uint8_t operation) {
    switch (operation) {
      case 0x80: return protocol();
      case 0x95: bytes_.number<uint64_t>(); return;  // FRAME: its length, which nobody needs
      case 'N': push(Kind::none); return;
      case 0x88: push_integer(1, Kind::boolean); return;  // NEWTRUE
      case 0x89: push_integer(0, Kind::boolean); return;  // NEWFALSE
      case 'J': push_integer(bytes_.number<int32_t>()); return;
      case 'K': push_integer(bytes_.number<uint8_t>()); return;
      case 'M': push_integer(bytes_.number<uint16_t>()); return;
      case 0x8a: return push_long(bytes_.number<uint8_t>());  // LONG1
      case 'G': bytes_.number<uint64_t>(); push(Kind::real); return;
      case 'X': return push_text(bytes_.number<uint32_t>());  // BINUNICODE
      case 'B': return push_text(bytes_.number<uint32_t>());  // BINBYTES
      case 'T': return push_text(bytes_.number<uint32_t>());  // BINSTRING
      case 'U': return push_text(bytes_.number<uint8_t>());   // SHORT_BINSTRING
      case 'C': return push_text(bytes_.number<uint8_t>());   // SHORT_BINBYTES
      case 0x8c: return push_text(bytes_.number<uint8_t>());  // SHORT_BINUNICODE
      case ')': push(Kind::tuple); return;
      case ']': push(Kind::list); return;
      case '}': push(Kind::dict); return;
      case 0x8f: push(Kind::set); return;
      case '(': return mark();
      case 't': return collect(Kind::tuple);
      case 'l': return collect(Kind::list);
      case 'd': return collect(Kind::dict);
      case 0x85: return collect(Kind::tuple, 1);
      case 0x86: return collect(Kind::tuple, 2);
      case 0x87: return collect(Kind::tuple, 3);
      case 'a': return extend(Kind::list, 1);
      case 'e': return extend(Kind::list, above_mark());
      case 0x90: return extend(Kind::set, above_mark());  // ADDITEMS
      case 's': return extend(Kind::dict, 2);
      case 'u': return extend(Kind::dict, above_mark());
      case 'q': return put(bytes_.number<uint8_t>());
      case 'r': return put(bytes_.number<uint32_t>());
      case 0x94: return put(uint32_t(memo_.size()));  // MEMOIZE
      case 'h': return get(bytes_.number<uint8_t>());
      case 'j': return get(bytes_.number<uint32_t>());
      case 'c': return global();
      case 0x93: return stack_global();
      case 'Q': return collect(Kind::persistent, 1);
      case 'R': return call();
      case 0x81: return call();  // NEWOBJ
      case 'b': return build();
    }
    refuse("operation 0x{:02x} is none that a file of weights needs", operation);
  }
  // clang-format on

  template <class... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> what, Args&&... args) const {
    fail(Fault::data, "{}: its pickle, at byte {}: {}; get the file again or save it again",
         bytes_.name(), at_, fmt::format(what, std::forward<Args>(args)...));
  }

  template <class... Args>
  void check(bool ok, fmt::format_string<Args...> what, Args&&... args) const {
    if (!ok) refuse(what, std::forward<Args>(args)...);
  }

  Pickle finish() {
    check(stack_.size() == 1 && marks_.empty(), "ends with {} values instead of one",
          stack_.size());
    pickle_.root_ = stack_[0];
    return std::move(pickle_);
  }

  void protocol() {
    auto version = bytes_.number<uint8_t>();
    check(version >= 2 && version <= 5, "is of protocol {}; 2 to 5 are known", version);
  }

  Value& value(Ref ref) { return pickle_.values_[ref]; }

  Value& push(Kind kind) {
    stack_.push_back(Ref(pickle_.values_.size()));
    pickle_.values_.emplace_back().kind = kind;
    return pickle_.values_.back();
  }

  void push_integer(int64_t number, Kind kind = Kind::integer) { push(kind).integer = number; }

  void push_long(size_t length) {  // little-endian, two's complement
    if (length > 8) return push_text(length, Kind::wide);
    uint8_t digits[8];
    bytes_.read(digits, length);
    uint64_t number = length && digits[length - 1] >= 0x80 ? ~uint64_t(0) : 0;
    for (size_t i = length; i-- > 0;) number = number << 8 | digits[i];
    push_integer(int64_t(number));
  }

  void push_text(size_t length, Kind kind = Kind::text) {
    std::string& texts = pickle_.texts_;
    check(int64_t(length) <= bytes_.left(), "a text of {} bytes, but {} are left: it was cut",
          length, bytes_.left());
    check(texts.size() + length <= kMaxText, "holds more than {} bytes of text", kMaxText);
    push(kind).text = {uint32_t(texts.size()), uint32_t(length)};
    texts.resize(texts.size() + length);
    bytes_.read(texts.data() + texts.size() - length, length);
  }

  std::string line() {
    std::string text;
    for (char c = bytes_.number<char>(); c != '\n'; c = bytes_.number<char>()) {
      check(text.size() < kMaxName, "a name of more than {} bytes", kMaxName);
      text += c;
    }
    return text;
  }

  void push_global(const std::string& module, const std::string& name) {
    std::string& texts = pickle_.texts_;
    std::string full = module + "." + name;
    check(full.size() <= 2 * kMaxName, "a global with a name of {} bytes", full.size());
    check(texts.size() + full.size() <= kMaxText, "holds more than {} bytes of text", kMaxText);
    push(Kind::global).text = {uint32_t(texts.size()), uint32_t(full.size())};
    texts += full;
  }

  void global() {
    std::string module = line();
    push_global(module, line());
  }

  void stack_global() {
    Ref name = pop(), module = pop();
    bool texts = value(name).kind == Kind::text && value(module).kind == Kind::text;
    check(texts, "the name of a global is no text");
    push_global(std::string(pickle_.text(module)), std::string(pickle_.text(name)));
  }

  size_t depth() const { return stack_.size() - (marks_.empty() ? 0 : marks_.back()); }

  Ref pop() {
    check(depth() >= 1, "takes a value from an empty stack");
    Ref top = stack_.back();
    stack_.pop_back();
    return top;
  }

  Ref top() const {
    check(depth() >= 1, "wants a value on an empty stack");
    return stack_.back();
  }

  void mark() { marks_.push_back(stack_.size()); }

  size_t above_mark() {  // how many values; the mark is gone afterwards
    check(!marks_.empty(), "wants a mark that nobody set");
    size_t count = stack_.size() - marks_.back();
    marks_.pop_back();
    return count;
  }

  std::vector<Ref> pop_many(size_t count) {
    check(depth() >= count, "takes {} values where {} are", count, depth());
    std::vector<Ref> values(stack_.end() - std::ptrdiff_t(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return values;
  }

  void collect(Kind kind) { collect(kind, above_mark()); }

  void collect(Kind kind, size_t count) {
    check(kind != Kind::dict || count % 2 == 0, "a dict with a key that has no value");
    std::vector<Ref> items = pop_many(count);
    push(kind).items = std::move(items);
  }

  // Appends to the container, or to the object that would be one, under the values.
  void extend(Kind container, size_t count) {
    check(container != Kind::dict || count % 2 == 0, "a dict with a key that has no value");
    std::vector<Ref> added = pop_many(count);
    Value& target = value(top());
    bool takes = target.kind == container || target.kind == Kind::call;
    if (!takes) refuse("adds to {}", pickle_.describe(top()));
    target.items.insert(target.items.end(), added.begin(), added.end());
  }

  void put(uint32_t index) {  // Python counts from 0
    check(index < kMaxOperations, "keeps a value under the number {}", index);
    if (index >= memo_.size()) memo_.resize(index + 1, Pickle::kNothing);
    memo_[index] = top();
  }

  void get(uint32_t index) {
    bool known = index < memo_.size() && memo_[index] != Pickle::kNothing;
    check(known, "recalls value {}, which it never kept", index);
    stack_.push_back(memo_[index]);
  }

  void call() {
    Ref arguments = pop(), function = pop();
    push(Kind::call).call = {function, arguments};
  }

  void build() {
    Ref state = pop();
    Value& target = value(top());
    bool takes = target.kind == Kind::call && target.state == Pickle::kNothing;
    if (!takes) refuse("gives a state to {}", pickle_.describe(top()));
    target.state = state;
  }

  ByteStream& bytes_;
  Pickle pickle_;
  std::vector<Ref> stack_;
  std::vector<size_t> marks_;  // sizes of the stack
  std::vector<Ref> memo_;
  uint32_t operations_ = 0;
  int64_t at_ = 0;
};

Pickle Pickle::read(ByteStream& bytes) { return PickleMachine(bytes).run(); }

const Pickle::Value& Pickle::expect(Ref value, std::initializer_list<Kind> kinds) const {
  const Value& v = values_[value];
  GRAFT_CHECK(std::find(kinds.begin(), kinds.end(), v.kind) != kinds.end(),
              "pickle: {} stands where something else should", describe(value));
  return v;
}

int64_t Pickle::integer(Ref value) const {
  return expect(value, {Kind::integer, Kind::boolean}).integer;
}

std::string_view Pickle::text(Ref value) const {
  const Value& v = expect(value, {Kind::text, Kind::global, Kind::wide});
  return std::string_view(texts_).substr(v.text.offset, v.text.length);
}

std::span<const Pickle::Ref> Pickle::items(Ref value) const { return values_[value].items; }
Pickle::Ref Pickle::function(Ref call) const { return expect(call, {Kind::call}).call.function; }
Pickle::Ref Pickle::arguments(Ref call) const { return expect(call, {Kind::call}).call.arguments; }
Pickle::Ref Pickle::state(Ref call) const { return values_[call].state; }

std::string Pickle::describe(Ref value) const {
  static constexpr const char* kNames[] = {
      "None",    "a truth value", "a number", "a long number", "a number", "a text",   "",
      "a tuple", "a list",        "a set",    "a dict",        "",         "a storage"};
  if (kind(value) == Kind::global) return escaped(text(value));
  if (kind(value) != Kind::call) return kNames[size_t(kind(value))];
  Ref named = function(value);
  bool global = kind(named) == Kind::global;
  return "an object of " + (global ? escaped(text(named)) : std::string("what it makes itself"));
}

}  // namespace graft
