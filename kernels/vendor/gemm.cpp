// Row-major matrices are, to cuBLASLt, column-major ones transposed: c^T (n,m) = op(b)^T op(a)^T.
// So b is its first factor, and c's columns, which the bias belongs to, are its rows. A shape's
// algorithm is measured once, on a result of its own, and kept by its key. Not yet run on a GPU.
#include "kernels/vendor/gemm.h"

#include <cublasLt.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/cuda/check.h"
#include "kernels/vendor/no_plan.h"

namespace graft::vendor {
namespace {

using cuda::GemmMath;
using cuda::GemmProblem;
using cuda::Stream;

constexpr size_t kWorkspace = size_t(32) << 20;  // bytes; what cuBLAS itself takes on Hopper
constexpr int kProposals = 8, kRounds = 3;

void check(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    throw cuda::DeviceError(std::string("cuBLASLt: ") + what + ": " + cublasLtGetStatusString(status),
                            int(status), false);
}

cudaDataType_t type_of(DType t) {
  return t == DType::bf16 ? CUDA_R_16BF : t == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

DType factor_type(GemmMath math) {
  return math == GemmMath::bf16 ? DType::bf16 : math == GemmMath::f16 ? DType::f16 : DType::f32;
}

cublasLtHandle_t handle() {
  static cublasLtHandle_t made = [] {
    cublasLtHandle_t h;
    check(cublasLtCreate(&h), "start");
    return h;
  }();
  return made;
}

struct Layout {
  cublasLtMatrixLayout_t get = nullptr;

  Layout(DType type, int64_t rows, int64_t columns, int64_t stride) {
    check(cublasLtMatrixLayoutCreate(&get, type_of(type), uint64_t(rows), uint64_t(columns), stride),
          "layout");
  }
  ~Layout() { cublasLtMatrixLayoutDestroy(get); }
  Layout(const Layout&) = delete;
};

struct Operation {
  cublasLtMatmulDesc_t get = nullptr;

  explicit Operation(const GemmProblem& p) {
    const auto compute = p.math == GemmMath::tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
    check(cublasLtMatmulDescCreate(&get, compute, CUDA_R_32F), "operation");
    set(CUBLASLT_MATMUL_DESC_TRANSA, p.transpose_b ? CUBLAS_OP_T : CUBLAS_OP_N);
    set(CUBLASLT_MATMUL_DESC_TRANSB, p.transpose_a ? CUBLAS_OP_T : CUBLAS_OP_N);
    const bool relu = p.activation == Activation::relu;
    set(CUBLASLT_MATMUL_DESC_EPILOGUE,
        p.bias ? (relu ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_BIAS)
               : (relu ? CUBLASLT_EPILOGUE_RELU : CUBLASLT_EPILOGUE_DEFAULT));
    if (p.bias) set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, p.bias);
  }
  ~Operation() { cublasLtMatmulDescDestroy(get); }
  Operation(const Operation&) = delete;

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    check(cublasLtMatmulDescSetAttribute(get, attribute, &value, sizeof value), "attribute");
  }
};

struct Product {  // everything about a problem but its algorithm
  const GemmProblem& p;
  Operation operation;
  Layout b, a, c, residual;

  explicit Product(const GemmProblem& p)
      : p(p), operation(p),
        b(factor_type(p.math), p.transpose_b ? p.k : p.n, p.transpose_b ? p.n : p.k, p.b_stride),
        a(factor_type(p.math), p.transpose_a ? p.m : p.k, p.transpose_a ? p.k : p.m, p.a_stride),
        c(p.c_type, p.n, p.m, p.c_stride),
        residual(p.c_type, p.n, p.m, p.residual ? p.residual_stride : p.c_stride) {}

  cublasStatus_t run(const cublasLtMatmulAlgo_t& algorithm, void* workspace, Stream stream) const {
    const float beta = p.residual ? p.beta : 0;
    return cublasLtMatmul(handle(), operation.get, &p.alpha, p.b, b.get, p.a, a.get, &beta,
                          p.residual ? p.residual : p.c, residual.get, p.c, c.get, &algorithm,
                          workspace, kWorkspace, static_cast<cudaStream_t>(stream.handle));
  }

  std::vector<cublasLtMatmulAlgo_t> proposals() const {
    cublasLtMatmulPreference_t preference;
    check(cublasLtMatmulPreferenceCreate(&preference), "preference");
    check(cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                               &kWorkspace, sizeof kWorkspace),
          "workspace");
    cublasLtMatmulHeuristicResult_t found[kProposals];
    int count = 0;
    const cublasStatus_t status =
        cublasLtMatmulAlgoGetHeuristic(handle(), operation.get, b.get, a.get, residual.get, c.get,
                                       preference, kProposals, found, &count);
    cublasLtMatmulPreferenceDestroy(preference);
    std::vector<cublasLtMatmulAlgo_t> algorithms;
    for (int i = 0; i < count; ++i)
      if (found[i].state == CUBLAS_STATUS_SUCCESS) algorithms.push_back(found[i].algo);
    if (algorithms.empty())
      throw NoPlan(std::string("cuBLASLt: no algorithm: ") + cublasLtGetStatusString(status));
    return algorithms;
  }
};

float milliseconds(const Product& product, const cublasLtMatmulAlgo_t& algorithm, void* workspace,
                   Stream stream) {
  const cuda::Event begin = cuda::create_event(true), end = cuda::create_event(true);
  float best = INFINITY;
  for (int round = 0; round < kRounds; ++round) {
    cuda::record(begin, stream);
    if (product.run(algorithm, workspace, stream) != CUBLAS_STATUS_SUCCESS) break;
    cuda::record(end, stream);
    cuda::synchronize(end);
    best = std::min(best, cuda::milliseconds(begin, end));
  }
  cuda::destroy(begin);
  cuda::destroy(end);
  return best;
}

using Key = std::tuple<int, bool, bool, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int, int,
                       bool, bool>;

Key key_of(const GemmProblem& p) {
  return {int(p.math), p.transpose_a, p.transpose_b, p.m, p.n, p.k, p.a_stride, p.b_stride,
          p.c_stride, int(p.c_type), int(p.activation), p.bias != nullptr, p.residual != nullptr};
}

// Into a result of its own while c is also read: trying must not add the residual again and again.
cublasLtMatmulAlgo_t fastest(const GemmProblem& p, void* workspace, Stream stream) {
  GemmProblem trial = p;
  const cuda::Scratch result(size_t(p.m * p.c_stride) * size_of(p.c_type), stream);
  trial.c = result.data();
  const Product product(trial);
  const std::vector<cublasLtMatmulAlgo_t> algorithms = product.proposals();
  std::vector<float> times;
  for (const cublasLtMatmulAlgo_t& algorithm : algorithms)
    times.push_back(milliseconds(product, algorithm, workspace, stream));
  const auto best = std::min_element(times.begin(), times.end());
  if (std::isinf(*best)) throw NoPlan("cuBLASLt: no algorithm runs");
  return algorithms[size_t(best - times.begin())];
}

cublasLtMatmulAlgo_t algorithm_for(const GemmProblem& p, void* workspace, Stream stream) {
  static std::mutex mutex;
  static std::map<Key, cublasLtMatmulAlgo_t> known;
  const std::lock_guard lock(mutex);
  const Key key = key_of(p);
  auto at = known.find(key);
  if (at == known.end()) at = known.emplace(key, fastest(p, workspace, stream)).first;
  return at->second;
}

}  // namespace

bool offers(const GemmProblem& p) {
  const bool half = p.c_type != DType::f32;
  const bool activation = p.activation == Activation::none || p.activation == Activation::relu;
  return activation && !p.moments && !(half && p.bias) && !(half && factor_type(p.math) == DType::f32);
}

void gemm(const GemmProblem& p, Stream stream) {
  if (!offers(p)) throw std::invalid_argument("cuBLASLt: no such last step of a product");
  if (p.m == 0 || p.n == 0) return;
  const cuda::Scratch workspace(kWorkspace, stream);
  check(Product(p).run(algorithm_for(p, workspace.data(), stream), workspace.data(), stream),
        "product");
}

}  // namespace graft::vendor
