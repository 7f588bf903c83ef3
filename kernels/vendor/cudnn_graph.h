// Private to kernels/vendor: cuDNN's descriptors as values that free themselves, and graphs of
// operations with their plans (cuDNN 9, "Graph API", the backend in C). Not yet run on a GPU.
#pragma once
#include <cudnn.h>

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/dtype.h"
#include "kernels/runtime.h"
#include "kernels/vendor/no_plan.h"

namespace graft::vendor {

void check(cudnnStatus_t status, const char* what);  // NoPlan for what cuDNN does not take
cudnnHandle_t cudnn(cuda::Stream stream);  // of the calling thread

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type);

  template <class T>
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                  const std::vector<T>& values) {
    check(cudnnBackendSetAttribute(get(), name, type, int64_t(values.size()), values.data()),
          "attribute");
    return *this;
  }
  Descriptor& set(cudnnBackendAttributeName_t name, cudnnDataType_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, int64_t value);
  Descriptor& set(cudnnBackendAttributeName_t name, const Descriptor& value);
  Descriptor& finalize(const char* what);
  bool try_finalize();  // false where cuDNN does not support it

  cudnnBackendDescriptor_t get() const { return held_.get(); }

 private:
  std::shared_ptr<void> held_;
};

cudnnDataType_t type_of(DType dtype);  // of floats

struct Extent {  // of an NHWC tensor, or a KRSC filter with n = k
  int64_t n, c, h, w;
};
Descriptor tensor(int64_t id, cudnnDataType_t type, const Extent& extent, bool is_virtual = false);
Descriptor scalar(int64_t id);  // f32; its argument is in host memory

// y = mode(x, b), or mode(x) where b is null; in f32.
Descriptor pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b,
                     const Descriptor& y);

struct Argument {
  int64_t id;
  void* data;
};

enum class Rounding { any, f32 };  // f32: of no factor to less, as for tensor cores
constexpr int kProposals = 8;      // of plans for a graph

// A graph with the plan that was the fastest, to be run again and again.
class Plan {
 public:
  // Measures the first `most` proposals on the arguments, whose results are overwritten.
  Plan(const std::vector<Descriptor>& operations, const std::vector<Argument>& arguments,
       cuda::Stream stream, int most, Rounding rounding);
  void run(const std::vector<Argument>& arguments, cuda::Stream stream) const;

 private:
  Descriptor plan_;
  int64_t workspace_ = 0;  // bytes
};

// The plans that were made so far, by their problems.
template <class Key>
class Plans {
 public:
  // make() -> the operations of this problem.
  template <class Make>
  void run(const Key& key, const Make& make, const std::vector<Argument>& arguments,
           cuda::Stream stream, int proposals = kProposals, Rounding rounding = Rounding::any) {
    const std::lock_guard lock(mutex_);
    auto at = known_.find(key);
    if (at == known_.end())
      at = known_.emplace(key, Plan(make(), arguments, stream, proposals, rounding)).first;
    at->second.run(arguments, stream);
  }

 private:
  std::mutex mutex_;
  std::map<Key, Plan> known_;
};

inline void* writable(const void* p) { return const_cast<void*>(p); }  // as cuDNN wants every pointer

}  // namespace graft::vendor
