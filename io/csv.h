// Reading a CSV file record by record (RFC 4180: quotes, quoted line breaks, CRLF; a byte order
// mark is skipped). Memory is bounded by one record, and errors name the line.
#pragma once
#include <string>
#include <vector>

#include "io/file.h"

namespace graft {

class CsvReader {
 public:
  explicit CsvReader(const std::string& path);

  // The next record that is not an empty line; false at the end. Valid until the next call.
  bool next();
  const std::vector<std::string>& fields() const { return fields_; }
  int64_t line() const { return record_line_; }  // where the record begins, from 1
  std::string where() const;                     // "file.csv, line 7", for messages

 private:
  int get();  // a byte, or -1 at the end
  int peek();
  bool refill();
  void quoted(std::string& field);

  InputFile file_;
  std::vector<std::string> fields_;
  std::vector<char> buffer_;
  size_t used_ = 0;     // of buffer_
  int64_t offset_ = 0;  // of the file, behind buffer_
  int64_t line_ = 1, record_line_ = 1;
  size_t record_bytes_ = 0;
};

}  // namespace graft
