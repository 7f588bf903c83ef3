#include "io/torch_file.h"

#include "io/sniff.h"
#include "io/torch_forms.h"

namespace graft {

TorchFile read_torch_file(const std::filesystem::path& path) {
  InputFile file(path);
  Content content = sniff(file);
  if (content == Content::zip) return read_torch_zip(path);
  if (content == Content::pickle) return read_torch_legacy(path);
  if (content == Content::tar) return read_torch_tar(path);
  refuse(content, file.name(), "a file by torch.save");
}

}  // namespace graft
