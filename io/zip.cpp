#include "io/zip.h"

#include <fcntl.h>
#include <unistd.h>
#include <zip.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "io/source_file.h"

namespace graft {
namespace {

std::string reason(int code) {
  if (code == ZIP_ER_EXISTS) return "two of its members have one name";
  zip_error_t error;
  zip_error_init_with_code(&error, code);
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

bool reaches_out(const std::string& name) {
  return name.starts_with('/') || name.starts_with("../") || name.find("/../") != name.npos ||
         name.ends_with("/..") || name == "..";
}

// A member that is being read.
class OpenMember {
 public:
  OpenMember(const std::string& name, zip_t* archive, uint64_t index, int64_t size)
      : name_(name), file_(zip_fopen_index(archive, index, 0), zip_fclose), left_(size) {
    GRAFT_CHECK(file_, "{}: cannot be read: {}", name_, zip_strerror(archive));
  }

  void read(char* to, size_t bytes) {
    while (bytes > 0) {
      zip_int64_t n = zip_fread(file_.get(), to, bytes);
      if (n <= 0) failed();
      to += n, bytes -= size_t(n), left_ -= n;
    }
    char beyond;  // only reading past the last byte makes libzip compare the checksum
    if (left_ == 0 && zip_fread(file_.get(), &beyond, 1) != 0) failed();
  }

 private:
  [[noreturn]] void failed() const {
    bool named = zip_error_code_zip(zip_file_get_error(file_.get())) != ZIP_ER_OK;
    fail(Fault::data, "{}: {}; get the file again", name_,
         named ? zip_file_strerror(file_.get()) : "it was cut");
  }

  std::string name_;
  std::shared_ptr<zip_file_t> file_;
  int64_t left_;
};

void write_all(const Descriptor& file, std::string_view bytes, const std::string& name) {
  while (!bytes.empty()) {
    ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(Fault::io, "{}: cannot be written: {}", name, std::strerror(errno));
    bytes.remove_prefix(size_t(n));
  }
}

}  // namespace

ZipArchive::ZipArchive(const std::filesystem::path& path) {
  InputFile file(path);
  name_ = file.name();
  file_size_ = file.size();
  int code = 0;
  zip_t* archive = zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code);
  if (!archive)
    fail(code == ZIP_ER_MEMORY ? Fault::os : Fault::data,
         "{}: is a cut or damaged zip archive: {}; get the file again", name_, reason(code));
  archive_.reset(archive, zip_discard);
  int64_t total = 0;
  for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) add(uint64_t(i), total);
}

void ZipArchive::add(uint64_t index, int64_t& total) {
  zip_stat_t info;
  constexpr zip_uint64_t kWanted = ZIP_STAT_NAME | ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE |
                                   ZIP_STAT_COMP_METHOD | ZIP_STAT_ENCRYPTION_METHOD;
  bool known = zip_stat_index(archive_.get(), index, ZIP_FL_ENC_RAW, &info) == 0 &&
               (info.valid & kWanted) == kWanted;
  GRAFT_CHECK(known, "{}: its directory does not describe member {}", name_, index);
  std::string member = info.name;
  GRAFT_CHECK(!reaches_out(member), "{}: member {} would lie outside of the archive", name_,
              escaped(member));
  bool fits = info.size <= INT64_MAX && info.comp_size <= uint64_t(file_size_ - total);
  GRAFT_CHECK(fits, "{}: member {} and those before it are larger than the file", name_,
              escaped(member));
  total += int64_t(info.comp_size);
  bool stored = info.comp_method == ZIP_CM_STORE && info.comp_size == info.size &&
                info.encryption_method == ZIP_EM_NONE;
  bool fresh = members_.emplace(member, Member{index, int64_t(info.size), stored}).second;
  GRAFT_CHECK(fresh, "{}: two members have the name {}", name_, escaped(member));
}

ByteStream ZipArchive::open(const std::string& member) const {
  std::string name = name_ + ": " + escaped(member);
  auto found = members_.find(member);
  GRAFT_CHECK(found != members_.end(), "{}: is missing in the archive; get the file again", name);
  GRAFT_CHECK(found->second.as_it_is,
              "{}: is compressed or encrypted, which archives of weights never are; pack it again "
              "without",
              name);
  auto file =
      std::make_shared<OpenMember>(name, archive_.get(), found->second.index, found->second.size);
  return {name, found->second.size, [file](char* to, size_t n) { file->read(to, n); }};
}

InputFile ZipArchive::extract(const std::string& member) const {
  ByteStream bytes = open(member);
  std::string path = (std::filesystem::temp_directory_path() / "graft-XXXXXX").string();
  Descriptor file(::mkostemp(path.data(), O_CLOEXEC));
  if (file.get() < 0)
    fail(Fault::cant_create, "{}: cannot be created: {}", path, std::strerror(errno));
  ::unlink(path.c_str());
  std::string part(size_t(1) << 20, '\0');
  while (bytes.left() > 0) {
    size_t n = size_t(std::min<int64_t>(bytes.left(), int64_t(part.size())));
    bytes.read(part.data(), n);
    write_all(file, std::string_view(part).substr(0, n), path);
  }
  return InputFile(bytes.name(), std::move(file));
}

}  // namespace graft
