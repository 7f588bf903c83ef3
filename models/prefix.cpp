#include "models/prefix.h"

#include <algorithm>

#include "core/autograd.h"
#include "core/ops.h"
#include "io/sha256.h"
#include "kernels/parallel.h"
#include "models/features.h"

namespace graft {
namespace {

constexpr int kVersion = 1;  // of what is hashed

size_t fixed_in_training(Classifier& model) {
  const bool was_training = model.training();
  model.train();
  const size_t end = model.fixed_steps();
  model.train(was_training);
  return end;
}

// One image of all values, in no order.
Batch probe_image(int side) {
  Batch batch{Tensor({1, side, side, 3}, DType::u8), Tensor::zeros({1}, DType::i32), {0}};
  uint8_t* to = batch.images.mutable_data<uint8_t>();
  for (int64_t i = 0; i < batch.images.size(); ++i)
    to[i] = uint8_t(uint32_t(i) * 2654435761u >> 24);
  return batch;
}

// "resnet18:layer3" of "resnet18:layer3+cosine": what comes before a cut is the same for every
// head.
std::string without_head(const std::string& network) {
  return network.substr(0, network.find('+'));
}

void add(Sha256& hash, const std::string& text) { hash.add(text.data(), text.size()); }

void add(Sha256& hash, const Tensor& t) {
  const Tensor here = t.to(Device::cpu);
  hash.add(here.raw(), here.bytes());
}

void add_setting(Sha256& hash, const Classifier& model, size_t end) {
  const Preprocess& p = model.preprocess;
  add(hash,
      fmt::format("graft features {}\n{}\n{} steps on {} in {}, bf16 products {}, {} threads, "
                  "{} at a time\n",
                  kVersion, without_head(model.architecture), end, int(model.device()),
                  name_of(model.activations()), bf16_allowed(), cpu::thread_count(),
                  model.images_at_a_time()));
  add(hash, fmt::format("{} {} {} {} {} {} {} {}\n", p.resize, p.crop, p.resize_rule,
                        int(p.interpolation), fmt::join(p.mean, ","), fmt::join(p.std, ","),
                        p.scale, p.bgr));
}

void add_values(Sha256& hash, Classifier& model, const Steps& steps, size_t end) {
  auto see = [&](const std::string& path, const Tensor& t) {
    auto has = [&](const Step& step) { return runs(step, path); };
    if (std::none_of(steps.begin(), steps.begin() + int64_t(end), has)) return;
    add(hash, fmt::format("{} {}\n", path, t.shape()));
    add(hash, t);
  };
  each_param(model, [&](const std::string& path, Param& p) { see(path, p); });
  each_buffer(model, [&](const std::string& path, Tensor& t) { see(path, t); });
}

std::string last_path(const Steps& steps, size_t end) {
  while (end > 0 && steps[end - 1].paths.empty()) --end;
  return end > 0 ? steps[end - 1].paths.back() : "the input";
}

std::string first_path(const Steps& steps, size_t begin) {
  while (begin < steps.size() && steps[begin].paths.empty()) ++begin;
  return begin < steps.size() ? steps[begin].paths.front() : "the head";
}

}  // namespace

Prefix::Prefix(Classifier& model) : end_(fixed_in_training(model)) {
  const Steps steps = model.steps();
  name_ = end_ == steps.size() ? "trunk" : last_path(steps, end_);
  next_ = first_path(steps, end_);
  if (end_ == 0) return;
  Sha256 hash;
  add_setting(hash, model, end_);
  add_values(hash, model, steps, end_);  // before the run, which may put weights away
  NoGrad no_grad;
  const int64_t part = model.images_at_a_time();
  model.images_at_a_time(0);
  const Tensor made = model.begin(input_of(model, probe_image(model.preprocess.crop)), end_);
  model.images_at_a_time(part);
  add(hash, made);
  id_ = hash.hex();
  shape_.assign(made.shape().begin() + 1, made.shape().end());
  dtype_ = made.dtype();
}

int64_t Prefix::bytes() const { return element_count(shape_) * int64_t(size_of(dtype_)); }

}  // namespace graft
