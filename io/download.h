// A file from the network: whole, of the expected SHA-256, or not there at all. What has arrived
// stays in TARGET.part, so that the next attempt, or the next run, goes on from there. TLS
// certificates are verified; https never becomes http on the way.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace graft {

struct DownloadOptions {
  int stall_seconds = 30;                       // without a byte: the attempt has failed
  int attempts = 4;
  int64_t most_bytes = int64_t(8) << 30;        // larger files are refused
  std::function<void(int64_t done, int64_t total /* 0: unknown */)> progress;
};

// sha256: the 64 digits, or at least the first 8. Returns at once when `target` has them already.
// Throws Fault::unavailable (no such file there), temporary (network; try again), data (other bytes
// than expected; nothing is kept), io.
void download(const std::string& url, const std::string& sha256,
              const std::filesystem::path& target, const DownloadOptions& options = {});

}  // namespace graft
