// Files to network input on one thread, as JSON: decode_bench IMAGE... . Times reading, decoding,
// resizing, cropping and normalising; bench/decode_race.py runs it against PIL and torchvision.
#include <chrono>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "io/source_file.h"
#include "io/transforms.h"
#include "kernels/augment.h"

int main(int argc, char** argv) try {
  using namespace graft;
  Transform transform({});
  const Preprocess& p = transform.preprocess();
  Normalization n{p.scale, {p.mean[0], p.mean[1], p.mean[2]}, {p.std[0], p.std[1], p.std[2]}, p.bgr};
  std::vector<uint8_t> pixels(size_t(transform.bytes()));
  std::vector<float> input(pixels.size());
  double sum = 0;  // so that two programs can be seen to do the same
  auto begin = std::chrono::steady_clock::now();
  for (int i = 1; i < argc; ++i) {
    Bytes file = read_source(argv[i]);
    transform.run(file, argv[i], {}, Random(0, "none"), pixels.data());
    cpu::normalize(n, int64_t(pixels.size() / 3), pixels.data(), input.data());
    for (size_t k = 0; k < input.size(); k += 1000) sum += input[k];
  }
  double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  std::printf("{\"images\": %d, \"seconds\": %.4f, \"images_per_second\": %.1f, \"checksum\": %.3f}\n",
              argc - 1, seconds, (argc - 1) / seconds, sum);
} catch (const std::exception& error) {
  std::fprintf(stderr, "decode_bench: %s\n", error.what());
  return 1;
}
