#include "core/norm_source.h"

#include "core/autograd.h"
#include "core/dispatch.h"

namespace graft {
namespace {

uint64_t version_of(const Norm& norm) {
  return (norm.gamma.defined() ? norm.gamma.version() : 0) +
         (norm.beta.defined() ? norm.beta.version() : 0);
}

}  // namespace

NormProblem Norm::problem(const Tensor& like) const {
  const int64_t channels = like.dim(-1), rows = channels ? like.size() / channels : 0;
  const KernelScope scope(like.device());
  return {rows,          channels,        in<float>(mean), in<float>(rstd),
          in<float>(gamma), in<float>(beta), activation};
}

NormProblem NormSource::problem() const {
  GRAFT_CHECK(version_of(norm) == version,
              "batch norm: its weights changed before its result was read");
  return norm.problem(x);
}

Tensor normalized_when_read(const Tensor& x, const Norm& norm) {
  const NormSource source{x.detach(), norm, version_of(norm)};
  Tensor y = empty_like(x, x.shape());
  Storage& storage = *y.impl()->storage;
  storage.can_be_made([source]([[maybe_unused]] void* values) {
    const KernelScope scope(Device::cuda);
    if constexpr (kWithCuda)
      with_float_type(source.x.dtype(), [&]<class T>() {
        cuda::batch_norm_forward(source.problem(), in<T>(source.x), static_cast<const T*>(nullptr),
                                 static_cast<T*>(values), stream());
      });
  });
  storage.known = source;
  return y;
}

const NormSource* norm_source(const Tensor& y) {
  const NormSource* source = norm_behind(y);
  return source && !y.impl()->storage->in_memory() ? source : nullptr;
}

const NormSource* norm_behind(const Tensor& y) {
  const NormSource* source = known_of<NormSource>(y);
  return source && source->x.dim(-1) == y.dim(-1) ? source : nullptr;  // y may be reshaped
}

}  // namespace graft
