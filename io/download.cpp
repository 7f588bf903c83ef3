#include "io/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>

#include "core/check.h"
#include "io/file.h"
#include "io/sha256.h"
#include "io/source_file.h"

namespace graft {
namespace {

constexpr long kMostRedirects = 5;

// The unfinished file; locked, so that two programs do not write it at once.
class PartFile {
 public:
  explicit PartFile(const std::filesystem::path& target)
      : path_(target.string() + ".part"), name_(escaped(path_.string())) {
    fd_ = Descriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
    if (fd_.get() < 0)
      fail(fault_of_errno(errno, Fault::cant_create), "{}: cannot create: {}", name_,
           std::strerror(errno));
    if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0)
      fail(Fault::temporary, "{}: another program is downloading it; wait for that one", name_);
    size_ = lseek(fd_.get(), 0, SEEK_END);
  }

  ~PartFile() {
    if (size_ == 0) unlink(path_.c_str());  // nothing to go on with
  }

  int64_t size() const { return size_; }
  const std::string& path() const { return path_.native(); }

  void append(const char* data, size_t bytes) {
    while (bytes > 0) {
      ssize_t written = pwrite(fd_.get(), data, bytes, size_);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) fail(Fault::io, "{}: cannot write: {}", name_, std::strerror(errno));
      data += written, bytes -= size_t(written), size_ += written;
    }
  }

  void restart() {
    if (ftruncate(fd_.get(), 0) != 0)
      fail(Fault::io, "{}: cannot cut: {}", name_, std::strerror(errno));
    size_ = 0;
  }

  void remove() { unlink(path_.c_str()); }

  void finish(const std::filesystem::path& target) {
    if (fsync(fd_.get()) != 0 || rename(path_.c_str(), target.c_str()) != 0)
      fail(Fault::io, "{}: cannot finish: {}", name_, std::strerror(errno));
  }

 private:
  std::filesystem::path path_;
  std::string name_;
  Descriptor fd_;
  int64_t size_ = 0;
};

// What one attempt's callbacks see. They must not throw through C code: the error is kept.
struct Transfer {
  PartFile& part;
  const std::string& url;
  const DownloadOptions& options;
  int64_t begin = part.size();
  std::exception_ptr error;
};

size_t on_data(char* data, size_t size, size_t count, void* user) {
  auto& t = *static_cast<Transfer*>(user);
  try {
    GRAFT_CHECK(t.part.size() + int64_t(size * count) <= t.options.most_bytes,
                "{}: sends more than {} bytes; refused", escaped(t.url), t.options.most_bytes);
    t.part.append(data, size * count);
    return size * count;
  } catch (...) {
    t.error = std::current_exception();
    return 0;
  }
}

int on_progress(void* user, curl_off_t total, curl_off_t, curl_off_t, curl_off_t) {
  auto& t = *static_cast<Transfer*>(user);
  if (t.options.progress) t.options.progress(t.part.size(), total ? t.begin + total : 0);
  return 0;
}

struct Outcome {
  CURLcode code;
  long status;  // of HTTP
  std::string message;
};

template <class T> void set(CURL* curl, CURLoption option, T value) {
  if (CURLcode code = curl_easy_setopt(curl, option, value); code != CURLE_OK)
    fail(Fault::internal, "libcurl: {}", curl_easy_strerror(code));
}

Outcome attempt(Transfer& t) {
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  std::unique_ptr<CURL, void (*)(CURL*)> curl(ready == CURLE_OK ? curl_easy_init() : nullptr,
                                              curl_easy_cleanup);
  if (!curl) fail(Fault::os, "libcurl: cannot start");
  char message[CURL_ERROR_SIZE] = "";
  const bool secure = t.url.starts_with("https:");
  set(curl.get(), CURLOPT_URL, t.url.c_str());
  set(curl.get(), CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl.get(), CURLOPT_REDIR_PROTOCOLS_STR, secure ? "https" : "http,https");
  set(curl.get(), CURLOPT_FOLLOWLOCATION, 1L);
  set(curl.get(), CURLOPT_MAXREDIRS, kMostRedirects);
  set(curl.get(), CURLOPT_FAILONERROR, 1L);
  set(curl.get(), CURLOPT_NOSIGNAL, 1L);
  set(curl.get(), CURLOPT_USERAGENT, "graft");
  set(curl.get(), CURLOPT_CONNECTTIMEOUT, long(t.options.stall_seconds));
  set(curl.get(), CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(curl.get(), CURLOPT_LOW_SPEED_TIME, long(t.options.stall_seconds));
  set(curl.get(), CURLOPT_RESUME_FROM_LARGE, curl_off_t(t.part.size()));
  set(curl.get(), CURLOPT_WRITEFUNCTION, on_data);
  set(curl.get(), CURLOPT_WRITEDATA, &t);
  set(curl.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
  set(curl.get(), CURLOPT_XFERINFODATA, &t);
  set(curl.get(), CURLOPT_NOPROGRESS, 0L);
  set(curl.get(), CURLOPT_ERRORBUFFER, message);
  Outcome outcome{curl_easy_perform(curl.get()), 0, ""};
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &outcome.status);
  outcome.message = *message ? message : curl_easy_strerror(outcome.code);
  if (t.error) std::rethrow_exception(t.error);
  return outcome;
}

// The server cannot, or will not, go on from where the part ends.
bool cannot_resume(const Outcome& o) { return o.code == CURLE_RANGE_ERROR || o.status == 416; }

// Worth another attempt: the connection was cut, stalled, or the server had a bad moment.
bool may_pass(const Outcome& o) {
  if (o.code == CURLE_HTTP_RETURNED_ERROR) return o.status >= 500 || o.status == 429;
  return o.code != CURLE_URL_MALFORMAT && o.code != CURLE_UNSUPPORTED_PROTOCOL &&
         o.code != CURLE_TOO_MANY_REDIRECTS && o.code != CURLE_PEER_FAILED_VERIFICATION;
}

[[noreturn]] void give_up(const std::string& url, const Outcome& o, int64_t have) {
  std::string kept = have ? fmt::format("; {} bytes are kept, the next attempt goes on there", have) : "";
  Fault fault = may_pass(o) ? Fault::temporary : Fault::unavailable;
  fail(fault, "{}: {}{}; {}", escaped(url), escaped(o.message), kept,
       may_pass(o) ? "try again later" : "nothing of that name can be had there");
}

// Fills the part; -> whether bytes of an earlier run are in it.
bool fetch(PartFile& part, const std::string& url, const DownloadOptions& options) {
  bool resumed = part.size() > 0;
  for (int tries = 1;; ++tries) {
    Transfer transfer{part, url, options};
    Outcome outcome = attempt(transfer);
    if (outcome.code == CURLE_OK) return resumed;
    if (cannot_resume(outcome) && part.size() > 0) {
      if (outcome.status == 416) return resumed;  // it may be whole: the hash tells
      part.restart();
      resumed = false;
    } else if (!may_pass(outcome)) {
      give_up(url, outcome, part.size());
    }
    if (tries >= options.attempts) give_up(url, outcome, part.size());
    sleep(unsigned(tries - 1));
  }
}

bool is_hash(const std::string& sha256) {
  return sha256.size() >= 8 && sha256.size() <= 64 &&
         sha256.find_first_not_of("0123456789abcdef") == sha256.npos;
}

}  // namespace

void download(const std::string& url, const std::string& sha256,
              const std::filesystem::path& target, const DownloadOptions& options) {
  GRAFT_CHECK(is_hash(sha256), "{}: '{}' is no SHA-256: 8 to 64 digits of 0-9a-f", escaped(url),
              escaped(sha256));
  auto right = [&](const std::string& path) { return sha256_of_file(path).starts_with(sha256); };
  if (std::filesystem::exists(target) && right(target)) return;
  PartFile part(target);
  if (part.size() == 0 || !right(part.path())) {
    bool resumed = fetch(part, url, options);
    if (resumed && !right(part.path())) {  // the part may have been of another file
      part.restart();
      fetch(part, url, options);
    }
  }
  std::string found = sha256_of_file(part.path());
  if (!found.starts_with(sha256)) {
    part.remove();
    fail(Fault::data, "{}: its SHA-256 is {}, not {}: it was changed on the way or at its source; "
         "nothing was kept", escaped(url), found.substr(0, std::max<size_t>(sha256.size(), 16)), sha256);
  }
  part.finish(target);
}

}  // namespace graft
