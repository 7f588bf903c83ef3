#include "io/sniff.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/check.h"

namespace graft {
namespace {

using namespace std::string_view_literals;

constexpr auto kHdf5 = "\x89HDF\r\n\x1a\n"sv;

bool is_html(std::string_view head) {
  size_t at = head.find_first_not_of(" \t\r\n");
  if (at == head.npos || head[at] != '<') return false;
  std::string start(head.substr(at, 14));
  std::transform(start.begin(), start.end(), start.begin(), [](uint8_t c) { return tolower(c); });
  return start.starts_with("<!doctype html") || start.starts_with("<html") ||
         start.starts_with("<head");
}

// The index of safetensors, *.safetensors.index.json, and that of Keras, *.weights.json: "weight_map"
// stands before or behind a short object "metadata".
bool is_list_of_pieces(std::string_view head) {
  size_t at = head.find_first_not_of(" \t\r\n");
  return at != head.npos && head[at] == '{' && head.find("\"weight_map\"") != head.npos;
}

// An HDF5 file may begin with a block of the user's, of 512, 1024, 2048... bytes.
bool has_hdf5_signature(const InputFile& file) {
  for (int64_t at = 0; at + 8 <= file.size(); at = at ? at * 2 : 512) {
    char bytes[8];
    file.read(at, bytes, 8);
    if (std::string_view(bytes, 8) == kHdf5) return true;
  }
  return false;
}

const char* description(Content content) {
  switch (content) {
    case Content::hdf5:
      return "an HDF5 file";
    case Content::safetensors:
      return "a safetensors file";
    case Content::zip:
      return "a zip archive, as PyTorch's .pth and .pt files are; turn it into one with `graft "
             "convert`";
    case Content::pickle:
      return "a Python pickle, as PyTorch's files before version 1.6 are; turn it into one with "
             "`graft convert`";
    case Content::gzip:
      return "compressed with gzip; unpack it with gunzip first";
    case Content::tar:
      return "a tar archive; unpack it with tar xf first";
    case Content::lfs:
      return "a git-LFS pointer, not the file itself; fetch that with `git lfs pull`";
    case Content::html:
      return "a web page, so the download went wrong; get the file itself, by its direct link";
    case Content::pieces:
      return "a list of the files that the weights are divided into; save them as one file";
    case Content::empty:
      return "empty; get or make it again";
    case Content::unknown:
      break;
  }
  return "of no kind that graft knows; give an HDF5, a safetensors or a PyTorch file";
}

}  // namespace

Content sniff(const InputFile& file) {
  if (file.size() == 0) return Content::empty;
  std::string head(size_t(std::min<int64_t>(file.size(), 512)), '\0');
  file.read(0, head.data(), head.size());
  if (has_hdf5_signature(file)) return Content::hdf5;
  if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return Content::zip;
  if (head.starts_with("\x1f\x8b")) return Content::gzip;
  if (head.starts_with("version https://git-lfs")) return Content::lfs;
  if (head.size() > 262 && head.compare(257, 5, "ustar") == 0) return Content::tar;
  if (is_html(head)) return Content::html;
  if (is_list_of_pieces(head)) return Content::pieces;
  if (head.size() > 8 && head[8] == '{') return Content::safetensors;
  bool pickle = head.size() > 2 && head[0] == '\x80' && head[1] >= 1 && head[1] <= 5;
  return pickle ? Content::pickle : Content::unknown;
}

void refuse(Content found, const std::string& file, const char* wanted) {
  fail(Fault::data, "{}: is not {}: it is {}", file, wanted, description(found));
}

}  // namespace graft
