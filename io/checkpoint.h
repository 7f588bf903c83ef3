// All that resuming a run bit for bit takes. A checkpoint is a model file (any command reads it as
// one) with /optimizer, /extra, /integers, /numbers, /text and /history besides.
// Written whole or not at all, under a checksum; the one before is kept as NAME.previous.EXT until
// the next is whole, and a damaged newest falls back to it.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "io/model_file.h"

namespace graft {

struct Checkpoint {
  ModelFile model;
  TensorMap optimizer;                      // its state by parameter name: "momentum/fc.weight"
  TensorMap extra;                          // what else a run needs: "mean/fc.weight"; mostly none
  std::map<std::string, std::string> text;  // options, fingerprint of the data ...
  std::map<std::string, int64_t> integers;  // step, epoch, position, seed ...
  std::map<std::string, double> numbers;    // best accuracy ...; bit for bit
  std::vector<std::string> history;         // one JSON object per epoch
};

struct LoadedCheckpoint {
  Checkpoint checkpoint;
  std::filesystem::path file;  // the one that was read
  std::string notice;          // why it is the previous one; empty when it is the newest
};

std::filesystem::path previous_checkpoint(const std::filesystem::path& path);
void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
LoadedCheckpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace graft
