// One real network out of four files, on 500 photographs.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "core/autograd.h"
#include "core/ops.h"
#include "io/loader.h"
#include "models/saved.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

std::filesystem::path real_data() {
  const char* folder = std::getenv("GRAFT_TEST_DATA");
  return folder ? folder : "";
}

std::unique_ptr<Classifier> squeezenet(const std::string& file, bool partial = false) {
  Adopted adopted =
      adopt(real_data() / "weights/squeezenet1_1" / ("squeezenet1_1" + file), "", {.partial = partial});
  EXPECT_EQ(adopted.model->architecture, "squeezenet1_1");
  EXPECT_EQ(adopted.report.loaded.size(), partial ? 50u : 52u);
  adopted.model->eval();
  return std::move(adopted.model);
}

void copy_head(Classifier& from, Classifier& to) {
  TensorMap head;
  for (auto& [name, tensor] : state(from))
    if (name.starts_with(from.head_path() + ".")) head[name] = tensor;
  ASSERT_EQ(load_matching(to, head).loaded.size(), 2u);
}

Tensor logits_of(Classifier& model, const Tensor& pixels) {
  const Preprocess& p = model.preprocess;
  return model(normalize(pixels, p.scale, p.mean, p.std, p.bgr));
}

// Of the logits of one photograph, their largest being 1.
double relative(const float* a, const float* b, int64_t classes) {
  double largest = 0, difference = 0;
  for (int64_t i = 0; i < classes; ++i) {
    largest = std::max(largest, std::abs(double(b[i])));
    difference = std::max(difference, std::abs(double(a[i]) - double(b[i])));
  }
  return difference / largest;
}

// The first three hold the same bits. Keras' file, which has no classifier, takes pixels as BGR
// from 0 to 255 where the others take RGB with a deviation of 1: its first filters, about 60 times
// smaller, and its bias were rewritten for them, so every product there is rounded otherwise. A
// relative rounding of 2^-24 at each of some hundred terms, carried through 18 layers of positive
// maps, stays below 1e-4 of the largest logit; channels in the wrong order move it by more than
// 1e-2.
TEST(RealSqueezeNet, FourFilesAgreeOn500Photographs) {
  if (real_data().empty()) GTEST_SKIP() << "GRAFT_TEST_DATA names no folder with real weights";
  auto zip = squeezenet(".pth"), legacy = squeezenet("_legacy.pth"),
       safe = squeezenet(".safetensors"), keras = squeezenet("_keras_notop.h5", /*partial=*/true);
  copy_head(*zip, *keras);
  EXPECT_TRUE(keras->preprocess.bgr && !zip->preprocess.bgr);
  ASSERT_EQ(keras->preprocess.resize, zip->preprocess.resize);  // the pixels are the same
  ASSERT_EQ(keras->preprocess.crop, zip->preprocess.crop);
  Dataset data = open_dataset((real_data() / "images/imagenet_500.csv").string());
  Loader loader(data, Transform(zip->preprocess), {.batch = 20, .threads = 0, .strict = true});
  NoGrad off;
  int64_t images = 0, same_class = 0;
  double largest = 0;
  loader.start(0);
  for (Batch batch; loader.next(batch);) {
    Tensor expected = logits_of(*zip, batch.images), found = logits_of(*keras, batch.images);
    ASSERT_TRUE(same_bits(logits_of(*legacy, batch.images), expected)) << "batch " << batch.number;
    ASSERT_TRUE(same_bits(logits_of(*safe, batch.images), expected)) << "batch " << batch.number;
    const int64_t classes = expected.dim(1);
    if (images == 0) {
      keras->preprocess.bgr = false;
      Tensor wrong = logits_of(*keras, batch.images);
      keras->preprocess.bgr = true;
      EXPECT_GT(relative(wrong.data(), expected.data(), classes), 1e-2);
    }
    for (int64_t i = 0; i < expected.dim(0); ++i, ++images) {
      const float *a = found.data() + i * classes, *b = expected.data() + i * classes;
      largest = std::max(largest, relative(a, b, classes));
      same_class += std::max_element(a, a + classes) - a == std::max_element(b, b + classes) - b;
    }
  }
  EXPECT_EQ(images, 500);
  EXPECT_LE(largest, 1e-4);
  EXPECT_GE(same_class, 499);
  fmt::print("500 photographs: Keras' logits differ by {:.1e} of the largest, {} argmaxes agree\n",
             largest, same_class);
}

}  // namespace
}  // namespace graft
