// Inception V3 (Szegedy et al., CVPR 2016): large filters as chains of small and of flat ones. Its
// auxiliary classifier only helped the first training.
#include "layers/branches.h"
#include "layers/dropout.h"
#include "layers/linear.h"
#include "layers/pool.h"
#include "models/chain.h"
#include "models/families.h"
#include "models/named_conv.h"

namespace graft {
namespace {

const Conv2dOptions k3x3{.kernel = 3, .padding = 1}, k5x5{.kernel = 5, .padding = 2},
    kHalve{.kernel = 3, .stride = 2}, k1x7{.kernel = {1, 7}, .padding = {0, 3}},
    k7x1{.kernel = {7, 1}, .padding = {3, 0}}, k1x3{.kernel = {1, 3}, .padding = {0, 1}},
    k3x1{.kernel = {3, 1}, .padding = {1, 0}};

// What Keras does otherwise.
struct Variant {
  float momentum = 0.1f;      // of the norms
  bool count_padding = true;  // as zeros, in the averages
};

// Convolutions in a row, each under its own name.
class Branch {
 public:
  Branch(int64_t in, const Variant& variant) : channels_(in), variant_(variant) {}
  Branch& conv(const char* name, int out, const Conv2dOptions& options = {}) {
    layers_.add(name, named_conv(channels_, out, options, variant_.momentum));
    channels_ = out;
    return *this;
  }
  Branch& average() {
    layers_.add("pool", AvgPool2d(3, 1, 1, variant_.count_padding));
    return *this;
  }
  Branch& largest() {
    layers_.add("pool", MaxPool2d(3, 2));
    return *this;
  }
  // A flat filter and an upright one, side by side.
  Branch& fork(const char* flat, const char* upright, int out) {
    Branches both;
    both.add(Branch(channels_, variant_).conv(flat, out, k1x3));
    both.add(Branch(channels_, variant_).conv(upright, out, k3x1));
    layers_.add("", std::move(both));
    return *this;
  }
  operator Sequential() { return std::move(layers_); }

 private:
  int64_t channels_;
  Variant variant_;
  Sequential layers_;
};

// Maps of 35, 17 and 8 pixels for images of 299; between them the map is halved.
Branches block_35(int in, int pooled, const Variant& v) {
  Branches all;
  all.add(Branch(in, v).conv("branch1x1", 64));
  all.add(Branch(in, v).conv("branch5x5_1", 48).conv("branch5x5_2", 64, k5x5));
  all.add(Branch(in, v).conv("branch3x3dbl_1", 64).conv("branch3x3dbl_2", 96, k3x3)
              .conv("branch3x3dbl_3", 96, k3x3));
  all.add(Branch(in, v).average().conv("branch_pool", pooled));
  return all;
}

Branches halve_35(int in, const Variant& v) {
  Branches all;
  all.add(Branch(in, v).conv("branch3x3", 384, kHalve));
  all.add(Branch(in, v).conv("branch3x3dbl_1", 64).conv("branch3x3dbl_2", 96, k3x3)
              .conv("branch3x3dbl_3", 96, kHalve));
  all.add(Branch(in, v).largest());
  return all;
}

Branches block_17(int in, int narrow, const Variant& v) {
  Branches all;
  all.add(Branch(in, v).conv("branch1x1", 192));
  all.add(Branch(in, v).conv("branch7x7_1", narrow).conv("branch7x7_2", narrow, k1x7)
              .conv("branch7x7_3", 192, k7x1));
  all.add(Branch(in, v).conv("branch7x7dbl_1", narrow).conv("branch7x7dbl_2", narrow, k7x1)
              .conv("branch7x7dbl_3", narrow, k1x7).conv("branch7x7dbl_4", narrow, k7x1)
              .conv("branch7x7dbl_5", 192, k1x7));
  all.add(Branch(in, v).average().conv("branch_pool", 192));
  return all;
}

Branches halve_17(int in, const Variant& v) {
  Branches all;
  all.add(Branch(in, v).conv("branch3x3_1", 192).conv("branch3x3_2", 320, kHalve));
  all.add(Branch(in, v).conv("branch7x7x3_1", 192).conv("branch7x7x3_2", 192, k1x7)
              .conv("branch7x7x3_3", 192, k7x1).conv("branch7x7x3_4", 192, kHalve));
  all.add(Branch(in, v).largest());
  return all;
}

Branches block_8(int in, const Variant& v) {
  Branches all;
  all.add(Branch(in, v).conv("branch1x1", 320));
  all.add(Branch(in, v).conv("branch3x3_1", 384).fork("branch3x3_2a", "branch3x3_2b", 384));
  all.add(Branch(in, v).conv("branch3x3dbl_1", 448).conv("branch3x3dbl_2", 384, k3x3)
              .fork("branch3x3dbl_3a", "branch3x3dbl_3b", 384));
  all.add(Branch(in, v).average().conv("branch_pool", 192));
  return all;
}

std::unique_ptr<Classifier> make(int64_t classes, const Variant& v = {}) {
  Sequential trunk, head;
  auto conv = [&](const char* name, int64_t in, int64_t out, const Conv2dOptions& options = {}) {
    trunk.add(name, named_conv(in, out, options, v.momentum));
  };
  conv("Conv2d_1a_3x3", 3, 32, kHalve);
  conv("Conv2d_2a_3x3", 32, 32, {.kernel = 3});
  conv("Conv2d_2b_3x3", 32, 64, k3x3);
  trunk.add("maxpool1", MaxPool2d(3, 2));
  conv("Conv2d_3b_1x1", 64, 80);
  conv("Conv2d_4a_3x3", 80, 192, {.kernel = 3});
  trunk.add("maxpool2", MaxPool2d(3, 2));
  trunk.add("Mixed_5b", block_35(192, 32, v)).add("Mixed_5c", block_35(256, 64, v));
  trunk.add("Mixed_5d", block_35(288, 64, v)).add("Mixed_6a", halve_35(288, v));
  trunk.add("Mixed_6b", block_17(768, 128, v)).add("Mixed_6c", block_17(768, 160, v));
  trunk.add("Mixed_6d", block_17(768, 160, v)).add("Mixed_6e", block_17(768, 192, v));
  trunk.add("Mixed_7a", halve_17(768, v));
  trunk.add("Mixed_7b", block_8(1280, v)).add("Mixed_7c", block_8(2048, v));
  head.add("dropout", Dropout(0.5f)).add("fc", Linear(2048, classes));
  return std::make_unique<Chain>(Chain::Part{"", std::move(trunk)},
                                 Chain::Part{"", std::move(head)});
}

void tidy(TensorMap& published) {
  std::erase_if(published, [](auto& entry) { return entry.first.starts_with("AuxLogits."); });
}

}  // namespace

std::span<const ZooRow> inception_v3_rows() {
  const Preprocess pixels = centred({.resize = 342, .crop = 299});
  static const ZooRow rows[] = {
      {"inception_v3", [](int64_t classes) { return make(classes); }, 23834568, pixels, 1000, tidy, 96},
      {"inception_v3_keras",
       [](int64_t classes) {
         return make(classes, {.momentum = 0.01f, .count_padding = false});
       },
       23834568, pixels, 1000, nullptr, 96},
  };
  return rows;
}

}  // namespace graft
