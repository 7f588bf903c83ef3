// How oneDNN's primitives are run here: on the caller's thread, with scratch memory from our pool,
// and with a note of every reference implementation that was picked.
#include "kernels/cpu/onednn.h"

#include <algorithm>
#include <new>

#include "kernels/memory.h"

namespace graft::cpu {
namespace {

std::mutex noted_mutex;
std::vector<std::string> noted;

}  // namespace

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

Scratch::Scratch(size_t bytes) : data_(bytes ? allocate(bytes) : nullptr), bytes_(bytes) {}
Scratch::~Scratch() { release(data_, bytes_); }

void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratchpad,
             std::unordered_map<int, dnnl::memory> arguments) {
  thread_local dnnl::stream stream(onednn_engine());
  Scratch scratch(scratchpad.get_size());
  if (scratch.data()) arguments.emplace(DNNL_ARG_SCRATCHPAD, view(scratchpad, scratch.data()));
  try {
    primitive.execute(stream, arguments);
    stream.wait();
  } catch (const dnnl::error& e) {
    if (e.status == dnnl_out_of_memory) throw std::bad_alloc();
    throw;
  }
}

dnnl::memory view(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, onednn_engine(), const_cast<void*>(data));
}

void reorder(const dnnl::memory& from, const dnnl::memory& to) {
  dnnl::reorder::primitive_desc desc(onednn_engine(), from.get_desc(), onednn_engine(),
                                     to.get_desc(), attributes());
  execute(dnnl::reorder(desc), desc.scratchpad_desc(),
          {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}});
}

dnnl::primitive_attr attributes(const dnnl::post_ops& post_ops) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attr.set_post_ops(post_ops);
  return attr;
}

void note_implementation(const std::string& implementation, const std::string& problem) {
  if (implementation.find("ref") == std::string::npos) return;
  std::lock_guard lock(noted_mutex);
  std::string line = problem + ": " + implementation;
  if (std::find(noted.begin(), noted.end(), line) == noted.end()) noted.push_back(line);
}

std::vector<std::string> noted_reference_implementations() {
  std::lock_guard lock(noted_mutex);
  return noted;
}

}  // namespace graft::cpu
