// From operations to a plan that runs: graph -> heuristic -> some engine configurations ->
// plans, of which the fastest of three runs each is kept. Not yet run on a GPU.
#include "kernels/vendor/cudnn_graph.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace graft::vendor {
namespace {

constexpr int64_t kWorkspace = int64_t(256) << 20;  // bytes
constexpr int kRounds = 3;
constexpr int kAllProposals = 64;  // those that round are among the first

int64_t workspace_of(const Descriptor& plan) {
  int64_t bytes = 0, count = 0;
  check(cudnnBackendGetAttribute(plan.get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64,
                                 1, &count, &bytes),
        "workspace");
  return bytes;
}

void execute(const Descriptor& plan, int64_t workspace, const std::vector<Argument>& arguments,
             cuda::Stream stream) {
  std::vector<int64_t> ids;
  std::vector<void*> data;
  for (const Argument& a : arguments) ids.push_back(a.id), data.push_back(a.data);
  const cuda::Scratch scratch(size_t(workspace), stream);
  Descriptor pack(CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, ids)
      .set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, data)
      .set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, std::vector<void*>{scratch.data()})
      .finalize("arguments");
  check(cudnnBackendExecute(cudnn(stream), plan.get(), pack.get()), "run");
}

float milliseconds(const Descriptor& plan, int64_t workspace, const std::vector<Argument>& arguments,
                   cuda::Stream stream) {
  const cuda::Event begin = cuda::create_event(true), end = cuda::create_event(true);
  float best = INFINITY;
  for (int round = 0; round < kRounds; ++round) {
    cuda::record(begin, stream);
    execute(plan, workspace, arguments, stream);
    cuda::record(end, stream);
    cuda::synchronize(end);
    best = std::min(best, cuda::milliseconds(begin, end));
  }
  cuda::destroy(begin);
  cuda::destroy(end);
  return best;
}

std::vector<Descriptor> proposals(const Descriptor& graph, cudnnBackendHeurMode_t mode, int most) {
  Descriptor heuristic(CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE,
           std::vector<cudnnBackendHeurMode_t>{mode});
  if (!heuristic.try_finalize()) return {};
  std::vector<Descriptor> configs;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (int i = 0; i < most; ++i) {
    configs.emplace_back(CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(configs.back().get());
  }
  int64_t count = 0;
  if (cudnnBackendGetAttribute(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS,
                               CUDNN_TYPE_BACKEND_DESCRIPTOR, most, &count, raw.data()) !=
      CUDNN_STATUS_SUCCESS)
    return {};
  configs.erase(configs.begin() + std::min<int64_t>(count, most), configs.end());
  return configs;
}

// Whether an engine computes with factors as they are: cuDNN takes f32 for leave to round to tf32.
bool keeps_f32(const Descriptor& config) {
  const Descriptor engine(CUDNN_BACKEND_ENGINE_DESCRIPTOR);
  cudnnBackendDescriptor_t raw = engine.get();
  std::vector<cudnnBackendNumericalNote_t> notes(CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  int64_t count = 0;
  check(cudnnBackendGetAttribute(config.get(), CUDNN_ATTR_ENGINECFG_ENGINE,
                                 CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &count, &raw),
        "engine");
  check(cudnnBackendGetAttribute(raw, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                                 int64_t(notes.size()), &count, notes.data()),
        "notes of an engine");
  notes.resize(size_t(std::min<int64_t>(count, int64_t(notes.size()))));
  return std::none_of(notes.begin(), notes.end(), [](auto note) {
    return note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS;
  });
}

std::vector<Descriptor> proposals(const Descriptor& graph, cudnnBackendHeurMode_t mode, int most,
                                  Rounding rounding) {
  if (rounding == Rounding::any) return proposals(graph, mode, most);
  std::vector<Descriptor> configs = proposals(graph, mode, kAllProposals);
  std::erase_if(configs, [](const Descriptor& config) { return !keeps_f32(config); });
  if (configs.size() > size_t(most)) configs.erase(configs.begin() + most, configs.end());
  return configs;
}

// The fallback knows engines of graphs that the better heuristic has nothing for.
std::vector<Descriptor> proposals(const Descriptor& graph, int most, Rounding rounding) {
  std::vector<Descriptor> configs = proposals(graph, CUDNN_HEUR_MODE_A, most, rounding);
  return configs.empty() ? proposals(graph, CUDNN_HEUR_MODE_FALLBACK, most, rounding) : configs;
}

}  // namespace

void check(cudnnStatus_t status, const char* what) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  const std::string message = std::string("cuDNN: ") + what + ": " + cudnnGetErrorString(status);
  const int category = CUDNN_STATUS_CATEGORY(status);
  if (category == CUDNN_STATUS_NOT_SUPPORTED || category == CUDNN_STATUS_BAD_PARAM)
    throw NoPlan(message);
  throw cuda::DeviceError(message, int(status), false);
}

cudnnHandle_t cudnn(cuda::Stream stream) {
  thread_local const cudnnHandle_t handle = [] {
    cudnnHandle_t made;
    check(cudnnCreate(&made), "start");
    return made;
  }();
  check(cudnnSetStream(handle, static_cast<cudaStream_t>(stream.handle)), "stream");
  return handle;
}

Descriptor::Descriptor(cudnnBackendDescriptorType_t type) {
  cudnnBackendDescriptor_t made;
  check(cudnnBackendCreateDescriptor(type, &made), "descriptor");
  held_ = std::shared_ptr<void>(made, [](void* d) { cudnnBackendDestroyDescriptor(d); });
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, cudnnDataType_t value) {
  return set(name, CUDNN_TYPE_DATA_TYPE, std::vector<cudnnDataType_t>{value});
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, int64_t value) {
  return set(name, CUDNN_TYPE_INT64, std::vector<int64_t>{value});
}

Descriptor& Descriptor::set(cudnnBackendAttributeName_t name, const Descriptor& value) {
  return set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, std::vector<cudnnBackendDescriptor_t>{value.get()});
}

Descriptor& Descriptor::finalize(const char* what) {
  check(cudnnBackendFinalize(get()), what);
  return *this;
}

bool Descriptor::try_finalize() { return cudnnBackendFinalize(get()) == CUDNN_STATUS_SUCCESS; }

cudnnDataType_t type_of(DType dtype) {
  return dtype == DType::bf16  ? CUDNN_DATA_BFLOAT16
         : dtype == DType::f16 ? CUDNN_DATA_HALF
                               : CUDNN_DATA_FLOAT;
}

// cuDNN names the dimensions N,C,H,W whatever their order in memory, which the strides say.
Descriptor tensor(int64_t id, cudnnDataType_t type, const Extent& e, bool is_virtual) {
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, std::vector<int64_t>{e.n, e.c, e.h, e.w})
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64,
           std::vector<int64_t>{e.h * e.w * e.c, 1, e.w * e.c, e.c})
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t(16))
      .set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, std::vector<char>{is_virtual})
      .finalize("tensor");
  return t;
}

Descriptor scalar(int64_t id) {
  const std::vector<int64_t> one(4, 1);
  Descriptor t(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  t.set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_DATA_FLOAT)
      .set(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, one)
      .set(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, one)
      .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
      .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t(sizeof(float)))
      .set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, std::vector<char>{true})
      .finalize("number");
  return t;
}

Descriptor pointwise(cudnnPointwiseMode_t mode, const Descriptor& x, const Descriptor* b,
                     const Descriptor& y) {
  Descriptor how(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how.set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, std::vector<cudnnPointwiseMode_t>{mode})
      .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT)
      .finalize("pointwise");
  Descriptor o(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  o.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, how)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x)
      .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
  if (b) o.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  o.finalize("pointwise operation");
  return o;
}

Plan::Plan(const std::vector<Descriptor>& operations, const std::vector<Argument>& arguments,
           cuda::Stream stream, int most, Rounding rounding)
    : plan_(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) {
  std::vector<cudnnBackendDescriptor_t> raw;
  for (const Descriptor& operation : operations) raw.push_back(operation.get());
  const std::vector<cudnnHandle_t> handle{cudnn(stream)};
  Descriptor graph(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph.set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, handle)
      .set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, raw)
      .finalize("graph");
  float best = INFINITY;
  for (const Descriptor& config : proposals(graph, most, rounding)) {
    Descriptor plan(CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, handle)
        .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, config);
    if (!plan.try_finalize()) continue;
    const int64_t workspace = workspace_of(plan);
    if (workspace > kWorkspace) continue;
    const float time = milliseconds(plan, workspace, arguments, stream);
    if (time < best) best = time, plan_ = plan, workspace_ = workspace;
  }
  check(std::isinf(best) ? CUDNN_STATUS_NOT_SUPPORTED : CUDNN_STATUS_SUCCESS, "no plan");
}

void Plan::run(const std::vector<Argument>& arguments, cuda::Stream stream) const {
  execute(plan_, workspace_, arguments, stream);
}

}  // namespace graft::vendor
