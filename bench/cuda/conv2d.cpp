// C1 and C2 every convolution of ResNet-50, three passes; C3 those of VGG-16; C4 the first layer
// and the gradient of its filters from bytes; C5 with bias, residual and ReLU; B2 with the
// statistics of the batch norm after it, of what the batch norm before it makes of its input, and
// with the gradient of that norm.
#include "kernels/conv2d.h"

#include <memory>

#include "bench/cuda/timed.h"
#include "kernels/norm_conv2d.h"
#ifdef GRAFT_WITH_VENDOR
#include "kernels/vendor/conv2d.h"
#endif

namespace graft::bench {
namespace {

using cuda::GemmMath;

constexpr DType kType = DType::bf16;
constexpr GemmMath kMath = GemmMath::bf16;
constexpr Normalization kNormalization{
    1.0f / 255, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f}, false};

enum class Pass {
  fprop, dgrad, wgrad, first, first_wgrad, fused, statistics, norm_fprop, norm_wgrad, norm_dgrad
};

constexpr bool is_wgrad(Pass pass) {
  return pass == Pass::wgrad || pass == Pass::first_wgrad || pass == Pass::norm_wgrad;
}
constexpr bool has_statistics(Pass pass) {
  return pass == Pass::statistics || pass == Pass::norm_fprop;
}

struct Layer {
  int64_t side, c, k;
  int filter, stride = 1;
};

// ResNet-50 v1.5: the stride is in the 3x3. Every distinct one but the first layer.
constexpr Layer kResNet50[] = {
    {56, 64, 64, 1},    {56, 64, 64, 3},       {56, 64, 256, 1},   {56, 256, 64, 1},
    {56, 256, 128, 1},  {56, 128, 128, 3, 2},  {28, 128, 512, 1},  {56, 256, 512, 1, 2},
    {28, 512, 128, 1},  {28, 128, 128, 3},     {28, 512, 256, 1},  {28, 256, 256, 3, 2},
    {14, 256, 1024, 1}, {28, 512, 1024, 1, 2}, {14, 1024, 256, 1}, {14, 256, 256, 3},
    {14, 1024, 512, 1}, {14, 512, 512, 3, 2},  {7, 512, 2048, 1},  {14, 1024, 2048, 1, 2},
    {7, 2048, 512, 1},  {7, 512, 512, 3}};
constexpr Layer kVgg16[] = {{224, 3, 64, 3},    {224, 64, 64, 3},  {112, 64, 128, 3},
                            {112, 128, 128, 3}, {56, 128, 256, 3}, {56, 256, 256, 3},
                            {28, 256, 512, 3},  {28, 512, 512, 3}, {14, 512, 512, 3}};
constexpr Layer kStem{224, 3, 64, 7, 2};

Conv2dProblem problem(const Layer& l, int64_t batch) {
  Conv2dProblem p{
      .n = batch, .h = l.side, .w = l.side, .c = l.c, .k = l.k, .r = l.filter, .s = l.filter};
  p.stride_h = p.stride_w = l.stride;
  p.pad_top = p.pad_left = p.pad_bottom = p.pad_right = l.filter / 2;
  return p;
}

struct Arrays {
  Buffer x, w, y, residual, scale, bias, dw;
  Buffer moments, mean, rstd;  // of y
  Buffer norm;                 // (6, c): of x; gradients of its weights
  Buffer gradient, dx, sums;   // of what the norm makes of x, of x; sums of the former

  NormProblem norm_of_x(const Conv2dProblem& p) const {
    const float* table = norm.at<float>(0);
    return {p.n * p.h * p.w, p.c,           table,           table + p.c,
            table + 2 * p.c, table + 3 * p.c, Activation::relu};
  }
};

// At most: an own kernel has tiles of 32 rows or more.
int64_t most_moments(const Conv2dProblem& p) {
  return 2 * p.k * cuda::rows_in_tiles(p.n * p.out_h() * p.out_w(), 32).count();
}

int64_t most_sums(const Conv2dProblem& p) {  // of each phase of a stride
  const int64_t phases = p.stride_h * p.stride_w;
  return 2 * p.c * phases * cuda::rows_in_tiles(p.n * p.h * p.w / phases, 32).count();
}

std::shared_ptr<Arrays> arrays_of(const Conv2dProblem& p, Pass pass, int sets) {
  const int64_t y = p.n * p.out_h() * p.out_w() * p.k, w = p.k * p.r * p.s * p.c;
  const bool norm = pass == Pass::norm_dgrad;
  const int64_t x = norm ? p.n * p.h * p.w * p.c : 1;
  return std::make_shared<Arrays>(
      Buffer(kType, p.n * p.h * p.w * p.c, sets), Buffer(kType, w, sets), Buffer(kType, y, sets),
      Buffer(kType, pass == Pass::fused ? y : 1, sets), Buffer(DType::f32, p.k, 1),
      Buffer(DType::f32, p.k, 1), Buffer(DType::f32, is_wgrad(pass) ? w : 1, sets),
      Buffer(DType::f32, has_statistics(pass) ? most_moments(p) : 1, 1), Buffer(DType::f32, p.k, 1),
      Buffer(DType::f32, p.k, 1), Buffer(DType::f32, 6 * p.c, 1), Buffer(kType, x, sets),
      Buffer(kType, x, sets), Buffer(DType::f32, norm ? most_sums(p) : 1, 1));
}

BatchStatistics statistics_to(const Arrays& a) {
  return {.mean = a.mean.at<float>(0), .rstd = a.rstd.at<float>(0), .eps = 1e-5f};
}

void own_statistics(const Conv2dProblem& p, Pass pass, const Arrays& a, int i) {
  auto* moments = a.moments.at<cuda::ChannelMoments>(0);
  const cuda::ConvLastStep last{.moments = moments};
  const void *x = a.x.at(i), *w = a.w.at(i);
  cuda::TileGrid tiles{};
  if (pass == Pass::norm_fprop) {
    const NormProblem norm = a.norm_of_x(p);
    tiles = cuda::norm_conv2d_moment_tiles(kMath, p, norm, x, w);
    cuda::norm_conv2d_fprop(kMath, p, norm, x, w, last, a.y.at(i), kType, {});
  } else {
    tiles = cuda::conv2d_moment_tiles(kMath, p, x, w);
    cuda::conv2d_fprop(kMath, p, x, w, last, a.y.at(i), kType, {});
  }
  cuda::batch_norm_statistics(p.n * p.out_h() * p.out_w(), p.k, {moments, tiles}, statistics_to(a), {});
}

cuda::NormGradients<bf16> gradients_to(const Conv2dProblem& p, const Arrays& a, int i) {
  const auto weights = a.norm.at<float>(0) + 4 * p.c;
  return {a.dx.at<bf16>(i), weights, weights + p.c};
}

void own_gradient(const Conv2dProblem& p, const Arrays& a, int i) {
  const NormProblem norm = a.norm_of_x(p);
  auto* sums = a.sums.at<float>(0);
  cuda::norm_conv2d_dgrad(kMath, p, norm, a.x.at(i), a.y.at(i), a.w.at(i), a.gradient.at(i), kType,
                          sums, {});
  cuda::batch_norm_backward_by_sums(
      norm, a.x.at<bf16>(i), a.gradient.at<bf16>(i),
      {sums, cuda::norm_conv2d_dgrad_tiles(kMath, p, a.y.at(i), a.w.at(i))}, gradients_to(p, a, i),
      {});
}

cuda::ConvLastStep last_step(const Arrays& a, int set) {
  return {
      .bias = a.bias.at<float>(0), .residual = a.residual.at(set), .activation = Activation::relu};
}

std::function<void(int)> own(const Conv2dProblem& p, Pass pass, int sets) {
  auto a = arrays_of(p, pass, sets);
  return [=](int i) {
    switch (pass) {
      case Pass::fprop:
        return cuda::conv2d_fprop(kMath, p, a->x.at(i), a->w.at(i), {}, a->y.at(i), kType, {});
      case Pass::fused:
        return cuda::conv2d_fprop(kMath, p, a->x.at(i), a->w.at(i), last_step(*a, i), a->y.at(i),
                                  kType, {});
      case Pass::statistics:
      case Pass::norm_fprop:
        return own_statistics(p, pass, *a, i);
      case Pass::norm_wgrad:
        return cuda::norm_conv2d_wgrad(kMath, p, a->norm_of_x(p), a->x.at(i), a->y.at(i),
                                       a->dw.at<float>(i), {});
      case Pass::norm_dgrad:
        return own_gradient(p, *a, i);
      case Pass::dgrad:
        return cuda::conv2d_dgrad(kMath, p, a->y.at(i), a->w.at(i), a->x.at(i), kType, {});
      case Pass::wgrad:
        return cuda::conv2d_wgrad(kMath, p, a->x.at(i), a->y.at(i), a->dw.at<float>(i), {});
      case Pass::first:
        return cuda::conv2d_first(kMath, p, a->x.at<uint8_t>(i), kNormalization, a->w.at(i), {},
                                  a->y.at(i), kType, {});
      case Pass::first_wgrad:
        return cuda::conv2d_first_wgrad(kMath, p, a->x.at<uint8_t>(i), kNormalization, a->y.at(i),
                                        a->dw.at<float>(i), {});
    }
  };
}

#ifdef GRAFT_WITH_VENDOR
std::function<void(int)> theirs(const Conv2dProblem& p, Pass pass, int sets) {
  auto a = arrays_of(p, pass, sets);
  const bool norm = pass == Pass::norm_fprop || pass == Pass::norm_wgrad;
  auto normalized = std::make_shared<Buffer>(kType, norm ? p.n * p.h * p.w * p.c : 1, sets);
  auto pixels = std::make_shared<Buffer>(
      DType::f32, pass == Pass::first ? p.n * p.h * p.w * p.c / 4 + 1 : 1, 1);
  return [=](int i) {
    const void* x = a->x.at(i);
    if (norm) {  // which has to be written first
      cuda::batch_norm_forward(a->norm_of_x(p), a->x.at<bf16>(i), static_cast<const bf16*>(nullptr),
                               normalized->at<bf16>(i), {});
      x = normalized->at(i);
    }
    switch (pass) {
      case Pass::first:  // which has to normalise by itself first
        cuda::normalize(kNormalization, p.n * p.h * p.w, pixels->at<uint8_t>(0), a->x.at<bf16>(i),
                        {});
        [[fallthrough]];
      case Pass::fprop:
        return vendor::conv2d_fprop(kMath, p, a->x.at(i), a->w.at(i), {}, a->y.at(i), kType, {});
      case Pass::fused:
        return vendor::conv2d_fprop(kMath, p, a->x.at(i), a->w.at(i), last_step(*a, i), a->y.at(i),
                                    kType, {});
      case Pass::statistics:  // which have to be a pass of ours over y
      case Pass::norm_fprop:
        vendor::conv2d_fprop(kMath, p, x, a->w.at(i), {}, a->y.at(i), kType, {});
        return cuda::batch_norm_statistics(p.n * p.out_h() * p.out_w(), p.k, a->y.at<bf16>(i),
                                           statistics_to(*a), {});
      case Pass::norm_dgrad:  // and the two passes of ours
        vendor::conv2d_dgrad(kMath, p, a->y.at(i), a->w.at(i), a->gradient.at(i), kType, {});
        return cuda::batch_norm_backward_train(a->norm_of_x(p), a->x.at<bf16>(i),
                                               static_cast<const bf16*>(nullptr),
                                               a->gradient.at<bf16>(i), gradients_to(p, *a, i), {});
      case Pass::dgrad:
        return vendor::conv2d_dgrad(kMath, p, a->y.at(i), a->w.at(i), a->x.at(i), kType, {});
      case Pass::wgrad:
      case Pass::first_wgrad:  // of pixels that were normalised for fprop
      case Pass::norm_wgrad:
        return vendor::conv2d_wgrad(kMath, p, x, a->y.at(i), a->dw.at<float>(i), {});
    }
  };
}
#endif

double bytes_of(const Conv2dProblem& p, Pass pass) {
  const double x = double(p.n * p.h * p.w * p.c), w = double(p.k * p.r * p.s * p.c),
               y = double(p.n * p.out_h() * p.out_w() * p.k);
  if (pass == Pass::first) return x + 2 * (w + y);
  if (pass == Pass::first_wgrad) return x + 2 * y + 4 * w;
  if (pass == Pass::norm_dgrad) return 2 * (w + y + 5 * x);  // x twice, the gradient there and back
  return 2 * (x + y) + (is_wgrad(pass) ? 4 : 2) * w + (pass == Pass::fused ? 2 * y : 0);
}

void add_layer(const std::string& group, const std::string& network, const Layer& l, int64_t batch,
               Pass pass) {
  constexpr const char* passes[] = {"fprop",       "dgrad", "wgrad",      "first",
                                    "first_wgrad", "fused", "statistics", "norm_fprop",
                                    "norm_wgrad",  "norm_dgrad"};
  const Conv2dProblem p = problem(l, batch);
  const double bytes = bytes_of(p, pass);
  const std::string shape = std::to_string(l.filter) + "x" + std::to_string(l.filter) + "_" +
                            std::to_string(l.c) + "to" + std::to_string(l.k) + "_" +
                            std::to_string(l.side) + (l.stride > 1 ? "s2" : "");
  const std::string name = group + "/" + network + "_" + shape + "_b" + std::to_string(batch) +
                           "_" + passes[int(pass)] + "/bf16/";
  const int sets = sets_for(bytes);
  Timed timed{.name = name + "own",
              .flops = p.flops(),
              .bytes = bytes,
              .math = kMath,
              .prepare = [=] { return own(p, pass, sets); },
              .sets = sets};
  add(timed);
#ifdef GRAFT_WITH_VENDOR
  timed.name = name + "vendor";
  timed.prepare = [=] { return theirs(p, pass, sets); };
  add(timed);
#endif
}

}  // namespace

void add_conv2d() {
  for (int64_t batch : {32, 256})
    for (const Layer& l : kResNet50) {
      add_layer("C1", "resnet50", l, batch, Pass::fprop);
      add_layer("C2", "resnet50", l, batch, Pass::dgrad);
      add_layer("C2", "resnet50", l, batch, Pass::wgrad);
      add_layer("C5", "resnet50", l, batch, Pass::fused);
    }
  for (const Layer& l : kResNet50)
    for (Pass pass : {Pass::statistics, Pass::norm_fprop, Pass::norm_wgrad, Pass::norm_dgrad})
      add_layer("B2", "resnet50", l, 256, pass);
  for (int64_t batch : {8, 64})
    for (const Layer& l : kVgg16)
      for (Pass pass : {Pass::fprop, Pass::dgrad, Pass::wgrad}) {
        if (l.c == 3 && pass == Pass::dgrad) continue;  // nothing learns below it
        add_layer("C3", "vgg16", l, batch, pass);
      }
  add_layer("C4", "resnet50", kStem, 256, Pass::first);
  add_layer("C4", "resnet50", kStem, 256, Pass::first_wgrad);
}

}  // namespace graft::bench
