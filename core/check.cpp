#include "core/check.h"

#include <cerrno>

namespace graft {

Fault fault_of_errno(int error, Fault otherwise) {
  switch (error) {
    case ENOENT: case ENOTDIR: return Fault::no_input;
    case EACCES: case EPERM: case EROFS: return Fault::permission;
    case ENOMEM: return Fault::os;
    default: return otherwise;
  }
}

}  // namespace graft
