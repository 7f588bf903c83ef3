// Batch normalisation as graphs of cuDNN, whose patterns "BnAddRelu" and "DReluForkDBn" these are:
//
//   forward    x -> norm -> (+ residual) -> ReLU -> y            what lies between is nowhere in memory
//   backward   dy -> times the bits that passed (-> dresidual) -> the norm's gradients
//
// ReLU's backward pass takes a bit for each element in place of y. Not yet run on a GPU.
#include "kernels/vendor/norm.h"

#include <tuple>

#include "kernels/vendor/cudnn_graph.h"

namespace graft::vendor {
namespace {

using cuda::Stream;

enum Id : int64_t {  // unique within a graph
  kX = 1, kY, kGamma, kBeta, kMean, kRstd, kEps, kResidual, kPassed, kDy, kDx, kDgamma, kDbeta,
  kDresidual, kVirtual
};

struct Tensors {
  const NormMaps& m;

  Descriptor map(Id id) const { return tensor(id, type_of(m.type), {m.n, m.c, m.h, m.w}); }
  Descriptor between(int64_t id, cudnnDataType_t type) const {
    return tensor(id, type, {m.n, m.c, m.h, m.w}, true);
  }
  Descriptor bits(Id id) const { return tensor(id, CUDNN_DATA_BOOLEAN, {m.n, m.c, m.h, m.w}); }
  Descriptor channels(Id id) const { return tensor(id, CUDNN_DATA_FLOAT, {1, m.c, 1, 1}); }
};

std::vector<Descriptor> forward_graph(const NormMaps& maps, bool residual) {
  const Tensors t{maps};
  const Descriptor normalised = t.between(kVirtual, CUDNN_DATA_FLOAT);
  const Descriptor sum = t.between(kVirtual + 1, CUDNN_DATA_FLOAT), other = t.map(kResidual);
  Descriptor norm(CUDNN_BACKEND_OPERATION_NORM_FORWARD_DESCRIPTOR);
  norm.set(CUDNN_ATTR_OPERATION_NORM_FWD_MODE, CUDNN_TYPE_NORM_MODE,
           std::vector<cudnnBackendNormMode_t>{CUDNN_BATCH_NORM})
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_PHASE, CUDNN_TYPE_NORM_FWD_PHASE,
           std::vector<cudnnBackendNormFwdPhase_t>{CUDNN_NORM_FWD_TRAINING})
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_XDESC, t.map(kX))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_SCALE_DESC, t.channels(kGamma))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_BIAS_DESC, t.channels(kBeta))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_EPSILON_DESC, scalar(kEps))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_MEAN_DESC, t.channels(kMean))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_INV_VARIANCE_DESC, t.channels(kRstd))
      .set(CUDNN_ATTR_OPERATION_NORM_FWD_YDESC, normalised)
      .finalize("norm");
  std::vector<Descriptor> operations{norm};
  if (residual) operations.push_back(pointwise(CUDNN_POINTWISE_ADD, normalised, &other, sum));
  operations.push_back(
      pointwise(CUDNN_POINTWISE_RELU_FWD, residual ? sum : normalised, nullptr, t.map(kY)));
  return operations;
}

std::vector<Descriptor> backward_graph(const NormMaps& maps, bool residual) {
  const Tensors t{maps};
  const Descriptor passed = t.bits(kPassed);
  const Descriptor gradient =
      residual ? t.map(kDresidual) : t.between(kVirtual, type_of(maps.type));
  Descriptor norm(CUDNN_BACKEND_OPERATION_NORM_BACKWARD_DESCRIPTOR);
  norm.set(CUDNN_ATTR_OPERATION_NORM_BWD_MODE, CUDNN_TYPE_NORM_MODE,
           std::vector<cudnnBackendNormMode_t>{CUDNN_BATCH_NORM})
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_XDESC, t.map(kX))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_MEAN_DESC, t.channels(kMean))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_INV_VARIANCE_DESC, t.channels(kRstd))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DYDESC, gradient)
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_SCALE_DESC, t.channels(kGamma))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DSCALE_DESC, t.channels(kDgamma))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DBIAS_DESC, t.channels(kDbeta))
      .set(CUDNN_ATTR_OPERATION_NORM_BWD_DXDESC, t.map(kDx))
      .finalize("norm's gradient");
  return {pointwise(CUDNN_POINTWISE_MUL, t.map(kDy), &passed, gradient), norm};
}

using Key = std::tuple<bool, int64_t, int64_t, int64_t, int64_t, int, bool>;

Key key_of(bool forward, const NormMaps& m, bool residual) {
  return {forward, m.n, m.h, m.w, m.c, int(m.type), residual};
}

// By the plan that cuDNN puts first: each is compiled, some second long, before it can be measured.
template <class Make>
void run(const Key& key, const Make& make, const std::vector<Argument>& arguments, Stream stream) {
  static Plans<Key> plans;
  plans.run(key, make, arguments, stream, 1);
}

}  // namespace

void batch_norm_relu(const NormMaps& maps, const void* x, const float* gamma, const float* beta,
                     const void* residual, float eps, float* mean, float* rstd, void* y,
                     Stream stream) {
  std::vector<Argument> arguments{{kX, writable(x)},       {kGamma, writable(gamma)},
                                  {kBeta, writable(beta)}, {kEps, &eps},
                                  {kMean, mean},           {kRstd, rstd},
                                  {kY, y}};
  if (residual) arguments.push_back({kResidual, writable(residual)});
  run(key_of(true, maps, residual), [&] { return forward_graph(maps, residual); }, arguments,
      stream);
}

void batch_norm_relu_backward(const NormMaps& maps, const NormRelu& forward, const void* dy,
                              const NormReluGradients& out, Stream stream) {
  std::vector<Argument> arguments{{kX, writable(forward.x)},       {kGamma, writable(forward.gamma)},
                                  {kMean, writable(forward.mean)}, {kRstd, writable(forward.rstd)},
                                  {kDy, writable(dy)},             {kPassed, writable(forward.passed)},
                                  {kDx, out.dx},                   {kDgamma, out.dgamma},
                                  {kDbeta, out.dbeta}};
  if (out.dresidual) arguments.push_back({kDresidual, out.dresidual});
  run(key_of(false, maps, out.dresidual), [&] { return backward_graph(maps, out.dresidual); },
      arguments, stream);
}

}  // namespace graft::vendor
