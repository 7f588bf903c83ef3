#include "core/conv_kernels.h"

#include <optional>

#include "core/autograd.h"
#include "core/cast.h"
#include "core/dispatch.h"
#include "core/kernel_choice.h"
#include "core/moments.h"
#include "core/norm_sums.h"
#include "core/ops/gradients.h"
#include "core/pixel_source.h"
#include "core/product_kernels.h"
#include "kernels/norm_conv2d.h"

namespace graft {
namespace {

ConvEpilogue for_cpu(const ConvLayerEnd& end) {
  return {.scale = in<float>(end.scale),
          .bias = in<float>(end.bias),
          .residual = in<float>(end.residual),
          .activation = end.activation};
}

// The bytes that x is made of, where our kernel for the first layer is wanted and takes them: where
// has(math).
template <class Has>
const PixelSource* first_layer_of([[maybe_unused]] const Tensor& x,
                                  [[maybe_unused]] const Has& has) {
  if constexpr (kWithCuda) {
    const PixelSource* source = pixel_source(x);
    const bool ours = kernels_in_use() != Kernels::vendor;
    if (source && ours && has(math_of(x.dtype()))) return source;
  }
  return nullptr;
}

// What a kernel on a device reads for x: its values, or those that a batch norm is to make it of,
// where our kernels can normalise them on the way: where has(norm, data). Of a filter with several
// taps each would do it again, in shared memory: by count too dear, which no GPU has confirmed yet.
struct ConvInput {
  const void* data;
  std::optional<NormProblem> norm;
};

template <class Has>
ConvInput input_of(const Tensor& x, [[maybe_unused]] const Conv2dProblem& p,
                   [[maybe_unused]] const Has& has) {
  if constexpr (kWithCuda) {
    const NormSource* source = norm_source(x);
    if (source && kernels_in_use() == Kernels::own && p.r == 1 && p.s == 1) {
      const ConvInput input{address(source->x, x.dtype()), source->problem()};
      if (has(*input.norm, input.data)) return input;
    }
  }
  return {address(x, x.dtype()), std::nullopt};
}

struct Fprop {  // of one call on a device, whatever it reads
  const Conv2dProblem& p;
  cuda::GemmMath math;
  DType type;  // of x and y
  const void* filter;
  cuda::ConvLastStep last;
  void* to;
  Tensor& y;
  KnownMoments moments;

  Fprop(const Conv2dProblem& p, const Tensor& w, const ConvLayerEnd& end, Tensor& y)
      : p(p),
        math(math_of(y.dtype())),
        type(y.dtype()),
        filter(address(w, type)),
        last{.scale = in<float>(end.scale),
             .bias = in<float>(end.bias),
             .residual = address(end.residual, type),
             .activation = end.activation},
        to(mutable_address(y, type)),
        y(y) {}

  // The kernel that is to run leaves moments of such tiles.
  void take_moments(const cuda::TileGrid& tiles) {
    moments = {empty_f32(y, {tiles.count(), p.k, 2}), tiles};
    last.moments = reinterpret_cast<cuda::ChannelMoments*>(out<float>(moments.of));
  }
};

void fprop_of_pixels(Fprop& f, const PixelSource& source, bool moments) {
  if constexpr (kWithCuda) {
    if (moments) f.take_moments(cuda::conv2d_first_moment_tiles(f.p));
    cuda::conv2d_first(f.math, f.p, in<uint8_t>(source.pixels), source.normalization, f.filter,
                       f.last, f.to, f.type, stream());
  }
}

void fprop_of_values(Fprop& f, const Tensor& x, bool moments) {
  const ConvInput from = input_of(x, f.p, [&](const auto& norm, const void* data) {
    return cuda::has_norm_conv2d_fprop(f.math, f.p, norm, data, f.filter);
  });
  auto run = [&](const ProductKernels& kernels) {
    kernels.fprop(f.math, f.p, from.data, f.filter, f.last, f.to, f.type, stream());
  };
  const ProductKernels kernels = product_kernels(
      !from.norm && vendor_offers(f.last) && f.last.residual != f.to,
      [&] { return name_of("fprop", f.type, f.p, f.last); }, run);
  if constexpr (kWithCuda) {
    if (kernels.own && moments)
      f.take_moments(from.norm ? cuda::norm_conv2d_moment_tiles(f.math, f.p, *from.norm, from.data,
                                                                f.filter)
                               : cuda::conv2d_moment_tiles(f.math, f.p, from.data, f.filter));
    if (from.norm)
      return cuda::norm_conv2d_fprop(f.math, f.p, *from.norm, from.data, f.filter, f.last, f.to,
                                     f.type, stream());
  }
  run(kernels);
}

void fprop_on_cuda(const Conv2dProblem& p, const Tensor& x, const Tensor& w,
                   const ConvLayerEnd& end, Tensor& y) {
  Fprop f(p, w, end, y);
  const PixelSource* source =
      first_layer_of(x, [&](auto math) { return cuda::has_conv2d_first(math, p); });
  if (source)
    fprop_of_pixels(f, *source, end.moments);
  else
    fprop_of_values(f, x, end.moments);
  if (f.moments.of.defined()) y.impl()->storage->known = std::move(f.moments);
}

// Our own kernels leave the sums of dx, if a norm made x.
void dgrad_on_cuda(const Conv2dProblem& p, const Tensor& dy, const Tensor& w,
                   [[maybe_unused]] const NormSource* norm, Tensor& dx) {
  const cuda::GemmMath math = math_of(dy.dtype());
  const void *from = address(dy, dy.dtype()), *filter = address(w, dy.dtype());
  void* to = mutable_address(dx, dx.dtype());
  auto run = [&](const ProductKernels& kernels) {
    kernels.dgrad(math, p, from, filter, to, dx.dtype(), stream());
  };
  const ProductKernels kernels = product_kernels(
      vendor_offers(cuda::ConvLastStep{}), [&] { return name_of("dgrad", dy.dtype(), p); }, run);
  if constexpr (kWithCuda) {
    const auto before = norm ? std::optional(norm->norm.problem(norm->x)) : std::nullopt;
    if (kernels.own && before && cuda::has_norm_conv2d_dgrad(*before)) {
      Tensor sums = empty_f32(dx, {cuda::norm_conv2d_dgrad_tiles(math, p, from, filter), 2, p.c});
      cuda::norm_conv2d_dgrad(math, p, *before, address(norm->x, dx.dtype()), from, filter, to,
                              dx.dtype(), out<float>(sums), stream());
      dx.impl()->storage->known = NormSums{std::move(sums), norm->norm.mean};
      return;
    }
  }
  run(kernels);
}

void wgrad_of_values(const Conv2dProblem& p, const Tensor& x, const void* gradient, float* to) {
  const cuda::GemmMath math = math_of(x.dtype());
  const ConvInput from = input_of(x, p, [&](const auto& norm, const void* data) {
    return cuda::has_norm_conv2d_wgrad(math, p, norm, data, gradient);
  });
  if (from.norm) {
    if constexpr (kWithCuda)
      cuda::norm_conv2d_wgrad(math, p, *from.norm, from.data, gradient, to, stream());
  } else {
    with_product_kernels(
        vendor_offers(cuda::ConvLastStep{}), [&] { return name_of("wgrad", x.dtype(), p); },
        [&](const ProductKernels& kernels) {
          kernels.wgrad(math, p, from.data, gradient, to, stream());
        });
  }
}

void wgrad_on_cuda(const Conv2dProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw) {
  const void* gradient = address(dy, x.dtype());
  float* to = out<float>(dw);
  const PixelSource* source =
      first_layer_of(x, [&](auto math) { return cuda::has_conv2d_first_wgrad(math, p); });
  if (!source) return wgrad_of_values(p, x, gradient, to);
  if constexpr (kWithCuda)
    cuda::conv2d_first_wgrad(math_of(x.dtype()), p, in<uint8_t>(source->pixels),
                             source->normalization, gradient, to, stream());
}

}  // namespace

void conv_fprop(const Conv2dProblem& p, const Tensor& x, const Tensor& w, const ConvLayerEnd& end,
                Tensor& y) {
  const KernelScope scope(x.device());
  if (x.device() == Device::cuda) return fprop_on_cuda(p, x, w, end, y);
  cpu::conv2d_fprop(p, in<float>(x), in<float>(w), for_cpu(end), out<float>(y));
}

void conv_fprop(const Conv2dProblem& p, const Tensor& x, FrozenFilter& w, ConvLayerEnd end,
                Tensor& y) {
  const KernelScope scope(x.device());
  end.scale = w.scale;
  if (x.device() == Device::cuda) return fprop_on_cuda(p, x, cast(w.weight, x.dtype()), end, y);
  const ConvEpilogue epilogue = for_cpu(end);
  w.packed.bf16 = w.may_round && bf16_allowed();
  const bool packed = cpu::conv2d_packed(p, epilogue, w.packed, w.version);
  cpu::conv2d_fprop(p, in<float>(x), packed ? nullptr : in<float>(w.weight), epilogue,
                    out<float>(y), &w.packed, w.version);
  if (!packed) w.weight.can_be_made(cpu::unpacker(w.packed));
}

Tensor conv_dgrad(const Conv2dProblem& p, const Tensor& dy, const Tensor& w,
                  const NormSource* norm) {
  const KernelScope scope(dy.device());
  Tensor dx = empty_like(dy, {p.n, p.h, p.w, p.c});
  if (dy.device() == Device::cuda)
    dgrad_on_cuda(p, dy, w, norm, dx);
  else
    cpu::conv2d_dgrad(p, in<float>(dy), in<float>(w), out<float>(dx));
  return dx;
}

Tensor conv_wgrad(const Conv2dProblem& p, const Tensor& x, const Tensor& dy, Tensor& dbias) {
  const KernelScope scope(x.device());
  Tensor dw = empty_f32(x, {p.k, p.r, p.s, p.c / p.groups});
  if (x.device() == Device::cuda) {
    wgrad_on_cuda(p, x, dy, dw);
    if (dbias.defined()) dbias.copy_from(sum_of_rows(dy));
    return dw;
  }
  cpu::conv2d_wgrad(p, in<float>(x), in<float>(dy), out<float>(dw), out<float>(dbias));
  return dw;
}

}  // namespace graft
