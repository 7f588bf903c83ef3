#include "layers/state.h"

#include <set>

#include "core/text.h"
#include "kernels/layout.h"

namespace graft {
namespace {

void from_file(const Tensor& any_type, Param& p) {
  if (p.device() != Device::cpu) {
    Param here(p.shape(), p.layout);
    here.map_h = p.map_h, here.map_w = p.map_w;
    from_file(any_type, here);
    return p.copy_from(here);
  }
  Tensor file = any_type.to(DType::f32);
  int64_t columns = p.rank() == 2 ? p.dim(1) / (p.map_h * p.map_w) : 0;
  switch (p.layout) {
    case FileLayout::same: p.copy_from(file); break;
    case FileLayout::filter_oihw:
      cpu::oihw_to_ohwi(p.dim(0), p.dim(3), p.dim(1), p.dim(2), file.data(), p.mutable_data());
      break;
    case FileLayout::columns_chw:
      cpu::chw_to_hwc_columns(p.dim(0), columns, p.map_h, p.map_w, file.data(), p.mutable_data());
      break;
  }
}

// What old files, or those of other libraries, do not hold, and a network has by itself.
bool may_lack(const std::string& name) {
  return name.ends_with("num_batches_tracked") || name.ends_with("relative_position_index") ||
         name.ends_with("relative_coords_table");
}

void compare(const std::string& name, const Shape& wanted, const TensorMap& tensors,
             LoadReport& report) {
  auto found = tensors.find(name);
  if (found == tensors.end()) {
    if (!may_lack(name)) report.missing.push_back(name);
  } else if (found->second.shape() != wanted) {
    report.misshapen.push_back(
        fmt::format("{}: file {}, model {}", name, found->second.shape(), wanted));
  } else {
    report.loaded.push_back(name);
  }
}

// Takes what fits out of `tensors`.
void move_fitting(Module& model, TensorMap& tensors) {
  each_param(model, [&](const std::string& path, Param& p) {
    auto found = tensors.find(path);
    if (found == tensors.end() || found->second.shape() != published_shape(p)) return;
    from_file(found->second, p);
    tensors.erase(found);
  });
  each_buffer(model, [&](const std::string& path, Tensor& t) {
    auto found = tensors.find(path);
    if (found != tensors.end() && found->second.shape() == t.shape())
      t.copy_from(found->second.to(t.dtype()));
  });
}

void publish(const Param& p, float* file) {
  int64_t columns = p.rank() == 2 ? p.dim(1) / (p.map_h * p.map_w) : 0;
  const Tensor values = p.to(Device::cpu);
  switch (p.layout) {
    case FileLayout::same: std::copy_n(values.data(), p.size(), file); break;
    case FileLayout::filter_oihw:
      cpu::ohwi_to_oihw(p.dim(0), p.dim(3), p.dim(1), p.dim(2), values.data(), file);
      break;
    case FileLayout::columns_chw:
      cpu::hwc_to_chw_columns(p.dim(0), columns, p.map_h, p.map_w, values.data(), file);
      break;
  }
  p.put_away();
}

}  // namespace

Shape published_shape(const Param& p) {
  if (p.layout != FileLayout::filter_oihw) return p.shape();
  return {p.dim(0), p.dim(3), p.dim(1), p.dim(2)};
}

Tensor published(const Param& p) {
  Tensor file(published_shape(p));
  publish(p, file.mutable_data());
  return file;
}

TensorMap state(Module& model) {
  TensorMap all;
  each_param(model, [&](const std::string& path, Param& p) { all[path] = published(p); });
  each_buffer(model, [&](const std::string& path, Tensor& t) { all[path] = t.clone(Device::cpu); });
  return all;
}

TensorMap state_view(Module& model) {
  TensorMap all;
  each_param(model, [&](const std::string& path, Param& p) {
    auto make = [p](void* file) { publish(p, static_cast<float*>(file)); };
    bool as_it_is = p.layout == FileLayout::same && p.device() == Device::cpu;
    all[path] = as_it_is ? p.detach() : Tensor::made_by(published_shape(p), p.dtype(), make);
  });
  each_buffer(model, [&](const std::string& path, Tensor& t) { all[path] = t.detach().to(Device::cpu); });
  return all;
}

std::string LoadReport::text() const {
  std::string text = fmt::format("{} tensors fit", loaded.size());
  auto list = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty())
      text += fmt::format("; {} {}: {}", names.size(), what, enumerate(names, names.size()));
  };
  list("missing", missing);
  list("unexpected", unexpected);
  list("misshapen", misshapen);
  return text;
}

LoadReport compare_state(Module& model, const TensorMap& tensors) {
  LoadReport report;
  std::set<std::string> known;
  each_param(model, [&](const std::string& path, Param& p) {
    compare(path, published_shape(p), tensors, report);
    known.insert(path);
  });
  each_buffer(model, [&](const std::string& path, Tensor& t) {
    compare(path, t.shape(), tensors, report);
    known.insert(path);
  });
  for (auto& [name, tensor] : tensors)
    if (!known.contains(name)) report.unexpected.push_back(name);
  return report;
}

LoadReport load_matching(Module& model, TensorMap tensors) {
  LoadReport report = compare_state(model, tensors);
  move_fitting(model, tensors);
  return report;
}

void load_state(Module& model, TensorMap tensors) {
  LoadReport report = compare_state(model, tensors);
  GRAFT_CHECK(report.complete(), "the weights do not fit this model: {}", report.text());
  move_fitting(model, tensors);
}

}  // namespace graft
