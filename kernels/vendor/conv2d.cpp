// Convolutions as graphs of cuDNN: conv -> scale -> bias -> + residual -> ReLU as far as they are
// wanted, of which only the last result is in memory; a gradient is a graph of one operation.
// Tensors are named by cuDNN as NCHW, their strides are NHWC's. A problem's plan is made and
// measured once, and kept by its key. Not yet run on a GPU.
#include "kernels/vendor/conv2d.h"

#include <stdexcept>
#include <tuple>

#include "kernels/vendor/cudnn_graph.h"

namespace graft::vendor {
namespace {

using cuda::ConvLastStep;
using cuda::GemmMath;
using cuda::Stream;

enum Pass { kFprop, kDgrad, kWgrad };
enum Id : int64_t { kX = 1, kW, kY, kScale, kBias, kResidual, kVirtual };  // unique within a graph

cudnnDataType_t factor_type(GemmMath math) {
  return math == GemmMath::bf16  ? CUDNN_DATA_BFLOAT16
         : math == GemmMath::f16 ? CUDNN_DATA_HALF
                                 : CUDNN_DATA_FLOAT;
}

Descriptor convolution(const Conv2dProblem& p) {
  auto pair = [](int64_t a, int64_t b) { return std::vector<int64_t>{a, b}; };
  Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE,
           std::vector<cudnnConvolutionMode_t>{CUDNN_CROSS_CORRELATION})
      .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, int64_t(2))
      .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, pair(p.pad_top, p.pad_left))
      .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, pair(p.pad_bottom, p.pad_right))
      .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, pair(p.stride_h, p.stride_w))
      .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, pair(p.dilation_h, p.dilation_w))
      .finalize("convolution");
  return c;
}

struct Slots {  // of one pass's operation: where its three tensors and factors go
  cudnnBackendDescriptorType_t operation;
  cudnnBackendAttributeName_t alpha, beta, convolution, x, w, y;
};

constexpr Slots kSlots[] = {
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
     CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY},
    {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
     CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY},
};

Descriptor operation(Pass pass, const Conv2dProblem& p, const Descriptor& x, const Descriptor& w,
                     const Descriptor& y) {
  const Slots& slots = kSlots[pass];
  Descriptor o(slots.operation);
  o.set(slots.convolution, convolution(p)).set(slots.x, x).set(slots.w, w).set(slots.y, y);
  o.set(slots.alpha, CUDNN_TYPE_FLOAT, std::vector<float>{1})
      .set(slots.beta, CUDNN_TYPE_FLOAT, std::vector<float>{0})
      .finalize("operation");
  return o;
}

Extent x_of(const Conv2dProblem& p) { return {p.n, p.c, p.h, p.w}; }
Extent w_of(const Conv2dProblem& p) { return {p.k, p.c / p.groups, p.r, p.s}; }
Extent y_of(const Conv2dProblem& p) { return {p.n, p.k, p.out_h(), p.out_w()}; }

// conv -> scale -> bias -> + residual -> ReLU, what is wanted of them; all but the last in f32 and
// nowhere in memory.
std::vector<Descriptor> forward_graph(GemmMath math, const Conv2dProblem& p, const ConvLastStep& last,
                                      DType y_type) {
  struct Step {
    cudnnPointwiseMode_t mode;
    Id id;  // of the second operand; kVirtual: none
    Extent extent;
    cudnnDataType_t type;
  };
  const Extent y = y_of(p), per_channel{1, p.k, 1, 1};
  std::vector<Step> steps;
  if (last.scale) steps.push_back({CUDNN_POINTWISE_MUL, kScale, per_channel, CUDNN_DATA_FLOAT});
  if (last.bias) steps.push_back({CUDNN_POINTWISE_ADD, kBias, per_channel, CUDNN_DATA_FLOAT});
  if (last.residual) steps.push_back({CUDNN_POINTWISE_ADD, kResidual, y, type_of(y_type)});
  if (last.activation == Activation::relu)
    steps.push_back({CUDNN_POINTWISE_RELU_FWD, kVirtual, y, CUDNN_DATA_FLOAT});

  int64_t next = kVirtual;
  auto result = [&](bool is_last) {
    return is_last ? tensor(kY, type_of(y_type), y) : tensor(next++, CUDNN_DATA_FLOAT, y, true);
  };
  Descriptor at = result(steps.empty());
  std::vector<Descriptor> operations{operation(kFprop, p, tensor(kX, factor_type(math), x_of(p)),
                                               tensor(kW, factor_type(math), w_of(p)), at)};
  for (size_t i = 0; i < steps.size(); ++i) {
    const Step& step = steps[i];
    const Descriptor to = result(i + 1 == steps.size());
    if (step.id == kVirtual) {
      operations.push_back(pointwise(step.mode, at, nullptr, to));
    } else {
      const Descriptor b = tensor(step.id, step.type, step.extent);
      operations.push_back(pointwise(step.mode, at, &b, to));
    }
    at = to;
  }
  return operations;
}

using Key = std::tuple<int, int, Conv2dProblem, int, bool, bool, bool, int>;

template <class Make>
void run_planned(const Key& key, GemmMath math, const Make& make,
                 const std::vector<Argument>& arguments, Stream stream) {
  static Plans<Key> plans;
  plans.run(key, make, arguments, stream, kProposals,
            math == GemmMath::f32 ? Rounding::f32 : Rounding::any);
}

}  // namespace

bool offers(const ConvLastStep& last) {
  const bool activation =
      last.activation == Activation::none || last.activation == Activation::relu;
  return activation && !last.moments;
}

void conv2d_fprop(GemmMath math, const Conv2dProblem& p, const void* x, const void* w,
                  const ConvLastStep& last, void* y, DType y_type, Stream stream) {
  if (!offers(last)) throw std::invalid_argument("cuDNN: no such last step of a convolution");
  std::vector<Argument> arguments{{kX, writable(x)}, {kW, writable(w)}, {kY, y}};
  if (last.scale) arguments.push_back({kScale, writable(last.scale)});
  if (last.bias) arguments.push_back({kBias, writable(last.bias)});
  if (last.residual) arguments.push_back({kResidual, writable(last.residual)});
  run_planned({kFprop, int(math), p, int(y_type), last.scale != nullptr, last.bias != nullptr,
       last.residual != nullptr, int(last.activation)},
      math, [&] { return forward_graph(math, p, last, y_type); }, arguments, stream);
}

void conv2d_dgrad(GemmMath math, const Conv2dProblem& p, const void* dy, const void* w, void* dx,
                  DType dx_type, Stream stream) {
  auto graph = [&] {
    return std::vector<Descriptor>{operation(kDgrad, p, tensor(kX, type_of(dx_type), x_of(p)),
                                             tensor(kW, factor_type(math), w_of(p)),
                                             tensor(kY, factor_type(math), y_of(p)))};
  };
  run_planned({kDgrad, int(math), p, int(dx_type), false, false, false, 0}, math, graph,
      {{kX, dx}, {kW, writable(w)}, {kY, writable(dy)}}, stream);
}

void conv2d_wgrad(GemmMath math, const Conv2dProblem& p, const void* x, const void* dy, float* dw,
                  Stream stream) {
  auto graph = [&] {
    return std::vector<Descriptor>{operation(kWgrad, p, tensor(kX, factor_type(math), x_of(p)),
                                             tensor(kW, CUDNN_DATA_FLOAT, w_of(p)),
                                             tensor(kY, factor_type(math), y_of(p)))};
  };
  run_planned({kWgrad, int(math), p, int(DType::f32), false, false, false, 0}, math, graph,
      {{kX, writable(x)}, {kW, dw}, {kY, writable(dy)}}, stream);
}

}  // namespace graft::vendor
