#include "io/csv.h"

#include <algorithm>

#include "core/check.h"

namespace graft {
namespace {
constexpr size_t max_record = 1 << 20;  // bytes
}

CsvReader::CsvReader(const std::string& path) : file_(path) {
  if (!refill()) return;
  bool mark = buffer_.size() >= 3 && std::string(buffer_.data(), 3) == "\xef\xbb\xbf";
  used_ = mark ? 3 : 0;
}

bool CsvReader::refill() {
  buffer_.resize(size_t(std::min<int64_t>(file_.size() - offset_, 1 << 16)));
  file_.read(offset_, buffer_.data(), buffer_.size());
  offset_ += int64_t(buffer_.size());
  used_ = 0;
  return !buffer_.empty();
}

int CsvReader::peek() {
  if (used_ == buffer_.size() && !refill()) return -1;
  return uint8_t(buffer_[used_]);
}

int CsvReader::get() {
  int c = peek();
  if (c < 0) return c;
  ++used_;
  if (c == '\n') ++line_;
  if (++record_bytes_ > max_record) {
    fail(Fault::data, "{}: a record of more than {} bytes; is a quote not closed?", where(),
         max_record);
  }
  return c;
}

// Behind the opening quote; a doubled quote is one quote.
void CsvReader::quoted(std::string& field) {
  while (true) {
    int c = get();
    if (c < 0) fail(Fault::data, "{}: a quoted field is not closed", where());
    if (c == '"') {
      if (peek() != '"') return;
      get();
    }
    field += char(c);
  }
}

bool CsvReader::next() {
  fields_.assign(1, "");
  record_line_ = line_;
  record_bytes_ = 0;
  bool any = false;
  while (true) {
    int c = get();
    if (c == '\r' && peek() == '\n') continue;
    if (c == '\n' && !any) {  // an empty line
      record_line_ = line_;
      record_bytes_ = 0;
      continue;
    }
    if (c < 0 || c == '\n') return any;
    any = true;
    if (c == ',') {
      fields_.emplace_back();
    } else if (c == '"' && fields_.back().empty()) {
      quoted(fields_.back());
    } else {
      fields_.back() += char(c);
    }
  }
}

std::string CsvReader::where() const {
  return fmt::format("{}, line {}", file_.name(), record_line_);
}

}  // namespace graft
