// Votes of neighbours, against sets whose answer can be seen.
#include "models/neighbours.h"

#include <gtest/gtest.h>

#include "core/autograd.h"
#include "models/foreign/onnx_export.h"
#include "models/saved.h"
#include "models/zoo.h"
#include "tests/io_scratch.h"
#include "tests/layer_helpers.h"

namespace graft {
namespace {

using namespace tests;

Features features_of(Shape shape, std::vector<float> values, std::vector<int32_t> labels) {
  const int64_t n = shape[0];
  return {Tensor::from<float>(std::move(shape), values), Tensor::from<int32_t>({n}, labels)};
}

// Directions in the plane at 0, 10, 80 and 90 degrees, of any length.
const Features known = features_of({4, 2}, {1, 0, 9.85f, 1.74f, 0.174f, 0.985f, 0, 3}, {0, 0, 1, 1});

TEST(Neighbours, AreCountedByDirection) {
  const Features asked = features_of({3, 2}, {100, 1, 0.1f, 7, 2, 1}, {0, 1, 0});
  EXPECT_EQ(neighbour_accuracy(known, asked, 2, {.k = 1}), 1);
  EXPECT_EQ(neighbour_accuracy(known, asked, 2, {.k = 4}), 1) << "nearer ones weigh more";
  const Features wrong = features_of({2, 2}, {100, 1, 0.1f, 7}, {1, 1});
  EXPECT_EQ(neighbour_accuracy(known, wrong, 2), 0.5);
}

// A label that stands alone is never told by the others; with the image itself it would always be.
TEST(Neighbours, AnImageDoesNotVoteForItself) {
  const Features lone = features_of({4, 2}, {1, 0, 9.85f, 1.74f, 0.174f, 0.985f, 0, 3}, {0, 0, 1, 2});
  EXPECT_EQ(neighbour_accuracy_left_out(lone, 3, {.k = 1}), 0.5);
  EXPECT_EQ(neighbour_accuracy(lone, lone, 3, {.k = 1}), 1);
  EXPECT_EQ(neighbour_accuracy_left_out(known, 2, {.k = 1}), 1);
}

// With a high temperature it is the majority of the k that counts, with a low one the nearest.
TEST(Neighbours, WeighByTheirCosine) {
  const Features three = features_of({3, 2}, {1, 0, 0.7f, 0.7f, 0.6f, 0.8f}, {0, 1, 1});
  const Features asked = features_of({1, 2}, {1, 0.1f}, {0});
  EXPECT_EQ(neighbour_accuracy(three, asked, 2, {.k = 3, .temperature = 0.05}), 1);
  EXPECT_EQ(neighbour_accuracy(three, asked, 2, {.k = 3, .temperature = 50}), 0);
}

TEST(Neighbours, OfAMapItsMeanCounts) {
  Tensor map = normal({6, 2, 2, 5}, 1);
  Tensor mean({6, 5});
  for (int64_t i = 0; i < 6; ++i)
    for (int64_t c = 0; c < 5; ++c) {
      float sum = 0;
      for (int64_t p = 0; p < 4; ++p) sum += map.data()[(i * 4 + p) * 5 + c];
      mean.mutable_data()[i * 5 + c] = sum / 4;
    }
  const Features a{map, labels_of(6, 2)}, b{mean, labels_of(6, 2)};
  EXPECT_EQ(neighbour_accuracy_left_out(a, 2, {.k = 2}), neighbour_accuracy_left_out(b, 2, {.k = 2}));
}

// Two, of which one head is a filter with a ReLU and a mean behind it.
class StoredNeighbours : public testing::TestWithParam<const char*> {};

TEST_P(StoredNeighbours, AreTheHeadOfTheirFile) {
  NoGrad off;
  auto model = make_model(GetParam(), 2, 5);
  model->class_names = {"a", "b"};
  model->eval();
  const Tensor images = normal({6, 64, 64, 3}, 1), labels = labels_of(6, 2);
  const Features known{model->hidden(model->trunk(images)), labels};
  const NeighbourResult result = store_neighbours(*model, known, 1);
  EXPECT_EQ(model->architecture, std::string(GetParam()) + "+knn:1:6");
  EXPECT_EQ(model->class_names.size(), 2u);
  EXPECT_EQ(result.accuracy, neighbour_accuracy_left_out(known, 2, {.k = 1}));
  EXPECT_GE(result.loss, 0);
  const Tensor logits = (*model)(images);
  for (int64_t i = 0; i < 6; ++i)  // each is its own nearest
    EXPECT_EQ(logits.data()[2 * i + 1] > logits.data()[2 * i], labels.data<int32_t>()[i] == 1) << i;
  const test::Scratch scratch;
  save_model(scratch / "model.h5", *model);
  auto again = load_model(scratch / "model.h5");
  again->eval();
  EXPECT_TRUE(same_bits((*again)(images), logits));
  EXPECT_TRUE(adopt(scratch / "model.h5", "").report.complete());
  EXPECT_NE(error_of([&] { to_onnx(*model, 64); }, Fault::usage).find("--head linear"), std::string::npos);
  model->replace_head(3, 1, HeadForm{});
  EXPECT_EQ(model->architecture, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, StoredNeighbours, testing::Values("resnet10_small", "squeezenet1_1"));

TEST(StoredNeighbours, AreFinite) {
  auto model = make_model("resnet10_small", 2, 5);
  Features known{normal({2, 128}, 1), labels_of(2, 2)};
  known.values.mutable_data()[3] = NAN;
  EXPECT_NE(error_of([&] { store_neighbours(*model, known, 1); }, Fault::data).find("finite"), std::string::npos);
  EXPECT_EQ(model->architecture, "resnet10_small");
}

}  // namespace
}  // namespace graft
