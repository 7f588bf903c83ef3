// Zip archives of members that are stored as they are, as torch.save and Keras write them, by libzip.
// Sizes come from the central directory; the local headers must agree with it.
#pragma once
#include <filesystem>
#include <map>
#include <memory>
#include <string>

#include "io/byte_stream.h"

struct zip;

namespace graft {

class ZipArchive {
 public:
  // Throws Fault::data when the archive contradicts itself, has two members of one name, a name
  // that reaches out of it, or members that together are larger than the file.
  explicit ZipArchive(const std::filesystem::path& path);

  struct Member {
    uint64_t index;
    int64_t size;   // in bytes
    bool as_it_is;  // neither compressed nor encrypted
  };
  const std::string& name() const { return name_; }  // the file's, fit for a message
  const std::map<std::string, Member>& members() const { return members_; }

  // A member from its first byte, while the archive lives. Its checksum is compared when the last
  // byte is read. Throws Fault::data when there is none of this name or it is compressed.
  ByteStream open(const std::string& member) const;
  // All of a member, in a temporary file that has no name any more.
  InputFile extract(const std::string& member) const;

 private:
  void add(uint64_t index, int64_t& total);
  std::string name_;
  std::shared_ptr<zip> archive_;
  std::map<std::string, Member> members_;
  int64_t file_size_ = 0;
};

}  // namespace graft
