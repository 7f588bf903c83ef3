// Private to io/hdf5_*: the HDF5 library crashes on some damaged files, or never comes back. So a
// file is read in a child process first: only what the child survives is read in this one.
// This keeps damage from ending the program; it is no wall against an attacker, whose file may do
// to this process what it did to the child.
#pragma once
#include <functional>
#include <string>

namespace graft::hdf5 {

// Calls `read` in a child. Throws Fault::data when that ends by a signal or takes more than so many
// seconds of computing or than 256 MB of memory; an Error thrown in there is for the caller to meet
// again. Hold the library's lock. `file` is a name fit for a message.
void require_survival(const std::string& file, const std::function<void()>& read, int seconds = 10);

bool in_trial();  // this is the child

}  // namespace graft::hdf5
