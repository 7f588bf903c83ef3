// Private to kernels/vendor: cuDNN's descriptors as values that free themselves, and graphs of
// operations with their plans (cuDNN 9, "Graph API", the backend in C).
#pragma once
#include <cudnn.h>

#include <memory>
#include <vector>

#include "kernels/runtime.h"

namespace graft::vendor {

void check(cudnnStatus_t status, const char* what);
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

struct Extent {  // of an NHWC tensor, or a KRSC filter with n = k
  int64_t n, c, h, w;
};
Descriptor tensor(int64_t id, cudnnDataType_t type, const Extent& extent, bool is_virtual = false);

struct Argument {
  int64_t id;
  void* data;
};

// A graph with the plan that was the fastest, to be run again and again.
class Plan {
 public:
  // Measures the proposals on the arguments, whose results are overwritten.
  Plan(const std::vector<Descriptor>& operations, const std::vector<Argument>& arguments,
       cuda::Stream stream);
  void run(const std::vector<Argument>& arguments, cuda::Stream stream) const;

 private:
  Descriptor plan_;
  int64_t workspace_ = 0;  // bytes
};

}  // namespace graft::vendor
