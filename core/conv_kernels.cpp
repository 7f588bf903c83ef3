#include "core/conv_kernels.h"

#include <optional>

#include "core/autograd.h"
#include "core/dispatch.h"
#include "core/kernel_choice.h"
#include "core/moments.h"
#include "core/norm_source.h"
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

// The bytes that x is made of, where our kernel for the first layer is wanted and can take them.
const PixelSource* first_layer_of([[maybe_unused]] const Conv2dProblem& p, [[maybe_unused]] const Tensor& x) {
  if constexpr (kWithCuda) {
    const PixelSource* source = pixel_source(x);
    const bool ours = kernels_in_use() != Kernels::vendor;
    if (source && ours && cuda::has_conv2d_first(math_of(x.dtype()), p)) return source;
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

// Room for the moments of y. Our own kernels leave them, all but the first layer's; NVIDIA's do not.
KnownMoments room_for_moments([[maybe_unused]] const Conv2dProblem& p,
                              [[maybe_unused]] const void* x, [[maybe_unused]] const void* w,
                              [[maybe_unused]] const Tensor& y) {
  if constexpr (kWithCuda) {
    if (kernels_in_use() == Kernels::own) {
      const int64_t rows = cuda::conv2d_moment_rows(math_of(y.dtype()), p, x, w);
      return {empty_f32(y, {cuda::moment_tiles(y.size() / p.k, rows), p.k, 2}), rows};
    }
  }
  return {};
}

void fprop_on_cuda(const Conv2dProblem& p, const Tensor& x, const Tensor& w,
                   const ConvLayerEnd& end, Tensor& y) {
  cuda::ConvLastStep last{.scale = in<float>(end.scale),
                          .bias = in<float>(end.bias),
                          .residual = address(end.residual, y.dtype()),
                          .activation = end.activation};
  const void* filter = address(w, x.dtype());
  void* to = mutable_address(y, y.dtype());
  const cuda::GemmMath math = math_of(x.dtype());
  if (const PixelSource* source = first_layer_of(p, x)) {
    if constexpr (kWithCuda)
      cuda::conv2d_first(math, p, in<uint8_t>(source->pixels), source->normalization, filter, last, to,
                         y.dtype(), stream());
    return;
  }
  const ConvInput from = input_of(x, p, [&](const auto& norm, const void* data) {
    return cuda::has_norm_conv2d_fprop(math, p, norm, data, filter);
  });
  KnownMoments moments;
  if (end.moments) moments = room_for_moments(p, from.data, filter, y);
  last.moments = reinterpret_cast<cuda::ChannelMoments*>(out<float>(moments.of));
  if (from.norm) {
    if constexpr (kWithCuda)
      cuda::norm_conv2d_fprop(math, p, *from.norm, from.data, filter, last, to, y.dtype(), stream());
  } else {
    with_product_kernels(
        vendor_offers(last) && last.residual != to,
        [&] { return name_of("fprop", x.dtype(), p, last); },
        [&](const ProductKernels& kernels) {
          kernels.fprop(math, p, from.data, filter, last, to, y.dtype(), stream());
        });
  }
  if (moments.of.defined()) y.impl()->storage->known = std::move(moments);
}

void wgrad_on_cuda(const Conv2dProblem& p, const Tensor& x, const Tensor& dy, Tensor& dw) {
  const cuda::GemmMath math = math_of(x.dtype());
  const void* gradient = address(dy, x.dtype());
  float* to = out<float>(dw);
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

// The weights as a CUDA kernel takes them.
const Tensor& converted(FrozenFilter& w, DType dtype) {
  if (w.weight.dtype() == dtype) return w.weight;
  if (!w.converted.defined() || w.converted_version != w.version || w.converted.dtype() != dtype) {
    w.converted = w.weight.to(dtype);
    w.converted_version = w.version;
  }
  return w.converted;
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
  if (x.device() == Device::cuda) return fprop_on_cuda(p, x, converted(w, x.dtype()), end, y);
  const ConvEpilogue epilogue = for_cpu(end);
  w.packed.bf16 = w.may_round && bf16_allowed();
  const bool packed = cpu::conv2d_packed(p, epilogue, w.packed, w.version);
  cpu::conv2d_fprop(p, in<float>(x), packed ? nullptr : in<float>(w.weight), epilogue,
                    out<float>(y), &w.packed, w.version);
  if (!packed) w.weight.can_be_made(cpu::unpacker(w.packed));
}

Tensor conv_dgrad(const Conv2dProblem& p, const Tensor& dy, const Tensor& w) {
  const KernelScope scope(dy.device());
  Tensor dx = empty_like(dy, {p.n, p.h, p.w, p.c});
  if (dy.device() == Device::cuda) {
    const void *from = address(dy, dy.dtype()), *filter = address(w, dy.dtype());
    void* to = mutable_address(dx, dx.dtype());
    with_product_kernels(
        vendor_offers(cuda::ConvLastStep{}), [&] { return name_of("dgrad", dy.dtype(), p); },
        [&](const ProductKernels& kernels) {
          kernels.dgrad(math_of(dy.dtype()), p, from, filter, to, dx.dtype(), stream());
        });
    return dx;
  }
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
