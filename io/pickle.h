// A Python pickle read as data. Pickles are programs for a stack machine that can name and call any
// function of Python; here nothing is looked up and nothing is called. A global stays a name, a
// call stays a record of what would be called with what, and which of them mean anything is for
// the reader of the values to say (io/torch_state.h).
// Operations: those that torch.save and Python's own pickles of data need, protocols 2 to 4.
// All values lie in one flat table and refer to each other by index, also in cycles, so that no
// depth of nesting costs stack. Memory is bounded by limits on operations and text.
#pragma once
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/byte_stream.h"

namespace graft {

class Pickle {
 public:
  enum class Kind : uint8_t {
    none,
    boolean,
    integer,
    wide,  // an integer of more than 64 bits, little-endian bytes
    real,
    text,  // str and bytes
    global,
    tuple,
    list,
    set,
    dict,
    call,        // of a function or a class
    persistent,  // what the file keeps outside the pickle: items()[0] is its id
  };
  using Ref = uint32_t;
  static constexpr Ref kNothing = UINT32_MAX;

  // Reads one pickle with its final STOP, and nothing behind it. Throws Fault::data with the
  // offset for an operation that is not allowed or does not fit the stack, and for any excess.
  static Pickle read(ByteStream& bytes);

  Ref root() const { return root_; }
  Ref size() const { return Ref(values_.size()); }  // values are [0, size()), used or not
  Kind kind(Ref value) const { return values_[value].kind; }
  int64_t integer(Ref value) const;             // of a boolean as well
  std::string_view text(Ref value) const;       // of a global "module.name", of wide its bytes
  std::span<const Ref> items(Ref value) const;  // of a dict: key, value, key, value, ...
  Ref function(Ref call) const;
  Ref arguments(Ref call) const;          // a tuple, if the file is sound
  Ref state(Ref call) const;              // what BUILD gave it, or kNothing
  std::string describe(Ref value) const;  // for messages: "a list", "a call of posix.system"

 private:
  friend class PickleMachine;
  struct Value {
    Kind kind = Kind::none;
    union {
      int64_t integer = 0;
      struct {
        uint32_t offset, length;  // in texts_
      } text;
      struct {
        Ref function, arguments;
      } call;
    };
    Ref state = kNothing;
    std::vector<Ref> items;  // of a call: what was appended or set after it
  };
  const Value& expect(Ref value, std::initializer_list<Kind> kinds) const;

  std::deque<Value> values_;  // grows without a copy
  std::string texts_;
  Ref root_ = kNothing;
};

}  // namespace graft
