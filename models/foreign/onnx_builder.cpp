#include "models/foreign/onnx_builder.h"

#include <algorithm>

#include "kernels/layout.h"
#include "layers/state.h"

namespace graft {
namespace {

std::string join(const Shape& values) { return fmt::format("{}", fmt::join(values, "_")); }

// A filter (O,H,W,I) as ONNX wants it.
Tensor as_oihw(const Tensor& t) {
  auto make = [t](void* to) {
    cpu::ohwi_to_oihw(t.dim(0), t.dim(3), t.dim(1), t.dim(2), t.data(), static_cast<float*>(to));
  };
  return Tensor::made_by({t.dim(0), t.dim(3), t.dim(1), t.dim(2)}, t.dtype(), make);
}

}  // namespace

OnnxBuilder::OnnxBuilder(Classifier& model) : files_(state_view(model)), names_{"logits"} {
  each_param(model, [&](const std::string& path, Param& p) { known_[place_of(p)] = {path, &p}; });
  each_buffer(model, [&](const std::string& path, Tensor& t) {
    known_[place_of(t)] = {path, nullptr};
  });
  graph_.name = model.architecture;
}

// ---- values ------------------------------------------------------------------------------------

const OnnxBuilder::Value& OnnxBuilder::value(const Tensor& t) const {
  auto found = values_.find(place_of(t));
  GRAFT_CHECK(found != values_.end(), "onnx: nothing that can be written makes a value {} that is "
              "used", t.shape());
  GRAFT_CHECK(found->second.traced == t.shape(), "onnx: a part {} is taken out of a value {} in no "
              "way that can be written", t.shape(), found->second.traced);
  return found->second;
}

void OnnxBuilder::declare(const Tensor& t, Shape shape) {
  values_[place_of(t)] = {std::move(shape), t.shape()};
}

void OnnxBuilder::define(const Tensor& t, Layout layout, const std::string& name) {
  value(t).names[layout] = name;
}

void OnnxBuilder::repeat(const Tensor& t, Shape shape) {
  const Tensor first = t.rows(0, 1);
  GRAFT_CHECK(shape[0] == -1 && std::equal(first.data(), first.data() + first.size(),
                                           t.rows(1, 2).data()),
              "onnx: a constant {} is another one for every image", t.shape());
  const bool image = t.rank() == 4;
  std::string row = new_constant(t, image ? as_oihw(first) : first.clone());
  declare(t, std::move(shape));
  define(t, image ? Layout::channels_first : Layout::plain, expand(row, t.rank()));
}

Shape OnnxBuilder::shape(const Tensor& t, Layout layout) const {
  const Shape& s = shape(t);
  return layout == Layout::plain || s.size() != 4 ? s : Shape{s[0], s[3], s[1], s[2]};
}

bool OnnxBuilder::has(const Tensor& t, Layout layout) const {
  return is_value(t) && value(t).names.contains(layout);
}

Layout OnnxBuilder::at_hand(const Tensor& t) const {
  return has(t, Layout::channels_first) ? Layout::channels_first : Layout::plain;
}

std::string OnnxBuilder::turn(const Value& v, const std::string& from, Layout to) {
  if (v.shape.size() == 4)
    return transpose(from, to == Layout::plain ? Shape{0, 2, 3, 1} : Shape{0, 3, 1, 2});
  GRAFT_CHECK(v.map.size() == 3 && to == Layout::plain, "onnx: a value {} has no channels first",
              v.shape);
  std::string map = reshape(from, {-1, v.map[2], v.map[0], v.map[1]});
  return reshape(transpose(map, {0, 2, 3, 1}), v.shape);
}

std::string OnnxBuilder::want(const Tensor& t, Layout layout) {
  if (!is_value(t) && layout == Layout::plain) return constant(t, t.shape());
  Value& v = value(t);
  auto found = v.names.find(layout);
  if (found != v.names.end()) return found->second;
  GRAFT_CHECK(!v.names.empty(), "onnx: a value {} is used before it is made", v.shape);
  return v.names[layout] = turn(v, v.names.begin()->second, layout);
}

// ---- constants ---------------------------------------------------------------------------------

std::string OnnxBuilder::unique(const std::string& wish) {
  std::string name = wish;
  for (int i = 2; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", wish, i);
  return name;
}

std::string OnnxBuilder::add_tensor(const std::string& wish, const Tensor& tensor) {
  graph_.tensors.emplace_back(unique(wish), tensor);
  return graph_.tensors.back().first;
}

std::string OnnxBuilder::name_of_constant(const Tensor& t) const {
  auto found = known_.find(place_of(t));
  return found == known_.end() ? "constant" : found->second.path;
}

const Param* OnnxBuilder::param(const Tensor& t) const {
  auto found = known_.find(place_of(t));
  return found == known_.end() ? nullptr : found->second.param;
}

std::string OnnxBuilder::new_constant(const Tensor& t, const Tensor& written) {
  kept_.push_back(t);
  return add_tensor(name_of_constant(t), written);
}

std::string OnnxBuilder::constant(const Tensor& t, const Shape& shape) {
  std::string& name = constants_[{place_of(t), shape, false}];
  if (!name.empty()) return name;
  GRAFT_CHECK(!is_value(t), "onnx: a value {} stands where a constant must", t.shape());
  return name = new_constant(t, t.detach().reshape(shape));
}

std::string OnnxBuilder::published(const Tensor& t) {
  std::string& name = constants_[{place_of(t), t.shape(), true}];
  if (!name.empty()) return name;
  GRAFT_CHECK(!is_value(t), "onnx: a value {} stands where a constant must", t.shape());
  const Param* p = param(t);
  bool same = p && p->shape() == t.shape();
  const Tensor file = same ? files_.at(name_of_constant(t)) : t.rank() == 4 ? as_oihw(t) : t;
  return name = new_constant(t, file);
}

std::string OnnxBuilder::number(float value) {
  const std::string wish = fmt::format("number_{}", value);
  std::string& name = small_[wish];
  return name.empty() ? name = add_tensor(wish, Tensor::full({}, value)) : name;
}

std::string OnnxBuilder::integers(const Shape& values) {
  const std::string wish = "integers_" + join(values);
  std::string& name = small_[wish];
  if (!name.empty()) return name;
  return name = add_tensor(wish, Tensor::from<int64_t>({int64_t(values.size())}, values));
}

// ---- nodes -------------------------------------------------------------------------------------

std::vector<std::string> OnnxBuilder::nodes(
    const std::string& type, std::vector<std::string> inputs,
    std::vector<std::pair<std::string, OnnxAttribute>> attributes, size_t outputs) {
  OnnxNode node{type, unique(type), std::move(inputs), {}, std::move(attributes)};
  for (size_t i = 0; i < outputs; ++i) node.outputs.push_back(unique(type + "_output"));
  graph_.nodes.push_back(std::move(node));
  return graph_.nodes.back().outputs;
}

std::string OnnxBuilder::node(const std::string& type, std::vector<std::string> inputs,
                              std::vector<std::pair<std::string, OnnxAttribute>> attributes,
                              const Tensor& hint) {
  const std::string path = hint.defined() && param(hint) ? name_of_constant(hint) : "";
  const std::string layer = path.substr(0, path.rfind('.'));
  const std::string name = unique(path.empty() ? type : layer);
  graph_.nodes.push_back({type, name, std::move(inputs), {name}, std::move(attributes)});
  return name;
}

std::string OnnxBuilder::reshape(const std::string& x, const Shape& shape) {
  GRAFT_CHECK(std::count(shape.begin(), shape.end(), -1) <= 1,
              "onnx: the number of images is in two dimensions of {}", shape);
  return node("Reshape", {x, integers(shape)});
}

// map (N,C,H,W); padding: top, left, bottom, right.
std::string OnnxBuilder::pad(const std::string& map, std::array<int, 4> padding, float value) {
  auto [top, left, bottom, right] = padding;
  return node("Pad", {map, integers({0, 0, top, left, 0, 0, bottom, right}), number(value)});
}

std::string OnnxBuilder::expand(const std::string& x, int rank) {
  std::string images = node("Shape", {graph_.input.name},
                            {{"start", int64_t(0)}, {"end", int64_t(1)}});
  std::string shape = node("Concat", {images, integers(Shape(size_t(rank) - 1, 1))},
                           {{"axis", int64_t(0)}});
  return node("Expand", {x, shape});
}

std::string OnnxBuilder::transpose(const std::string& x, const Shape& order) {
  return node("Transpose", {x}, {{"perm", order}});
}

void OnnxBuilder::set_input(const Tensor& images) {
  define(images, Layout::channels_first, unique("input"));
  graph_.input = {"input", shape(images, Layout::channels_first)};
}

OnnxGraph OnnxBuilder::take(const Tensor& logits) {
  const std::string last = want(logits, Layout::plain), name = "logits";
  for (OnnxNode& node : graph_.nodes)
    for (auto* names : {&node.inputs, &node.outputs})
      std::replace(names->begin(), names->end(), last, name);
  graph_.output = {name, shape(logits)};
  return std::move(graph_);
}

}  // namespace graft
