// Every operation against PyTorch's values and gradients, written by op_reference.py: a few cases
// that live in torch_values.h always, all of them where GRAFT_REFERENCE_DIR points at its output.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "core/ops.h"
#include "kernels/optimizer.h"
#include "tests/torch_values.h"

namespace graft {
namespace {

struct TorchCase {
  std::string name, op;
  std::map<std::string, std::vector<float>> attrs;
  std::map<std::string, std::vector<Tensor>> tensors;  // by role

  float attr(const std::string& key, size_t i = 0) const { return attrs.at(key).at(i); }
  template <size_t N>
  std::array<int, N> ints(const std::string& key) const {
    std::array<int, N> result;
    for (size_t i = 0; i < N; ++i) result[i] = int(attr(key, i));
    return result;
  }
  const Tensor& constant(size_t i) const { return tensors.at("constant").at(i); }
};

Tensor read_tensor(std::istream& in) {
  size_t rank;
  in >> rank;
  Shape shape(rank);
  for (int64_t& d : shape) in >> d;
  Tensor t(shape);
  for (int64_t i = 0; i < t.size(); ++i) in >> t.mutable_data()[i];
  return t;
}

std::vector<TorchCase> read_cases(std::istream& in) {
  std::vector<TorchCase> cases;
  for (std::string word, key; in >> word;) {
    if (word == "case") {
      in >> cases.emplace_back().name >> cases.back().op;
    } else if (word == "attr") {
      size_t count;
      in >> key >> count;
      auto& values = cases.back().attrs[key];
      values.resize(count);
      for (float& v : values) in >> v;
    } else if (word == "tensor") {
      in >> key;
      cases.back().tensors[key].push_back(read_tensor(in));
    }
  }
  return cases;
}

PoolSpec pool_spec(const TorchCase& c) {
  return {c.ints<2>("window"), c.ints<2>("stride"), c.ints<4>("padding"), c.attr("ceil") != 0,
          c.attr("count") != 0};
}

Tensor run_conv2d(const TorchCase& c, const std::vector<Tensor>& in) {
  ConvSpec spec{c.ints<2>("stride"), c.ints<4>("padding"), c.ints<2>("dilation"),
                int(c.attr("groups"))};
  return conv2d(in[0], in[1], c.attr("bias") ? in[2] : Tensor(), spec, Activation(c.attr("act")),
                c.attr("residual") ? in.back() : Tensor());
}

Tensor run_batch_norm(const TorchCase& c, const std::vector<Tensor>& in,
                      std::vector<Tensor>& state) {
  Tensor residual = in.size() > 3 ? in[3] : Tensor();
  auto act = Activation(c.attr("act"));
  state = {c.constant(0).clone(), c.constant(1).clone()};
  if (c.attr("train"))
    return batch_norm_train(in[0], in[1], in[2], state[0], state[1], 0.1f, 1e-5f, act, residual);
  return batch_norm_frozen(in[0], in[1], in[2], state[0], state[1], 1e-5f, act, residual);
}

WindowSpec window_spec(const TorchCase& c) { return {c.ints<2>("window"), c.ints<2>("shift")}; }

Tensor run_attention(const TorchCase& c, const std::vector<Tensor>& in) {
  const AttentionSpec spec{int(c.attr("heads"))};
  if (in.size() == 1) return attention(in[0], spec);
  auto map = c.ints<2>("map");
  return attention(in[0], spec, in[1], window_mask(map[0], map[1], window_spec(c), -100));
}

Tensor run_optimizer(const TorchCase& c) {
  Tensor p = c.constant(0).clone(), m = Tensor::zeros(p.shape()), v = Tensor::zeros(p.shape());
  const std::vector<float>& o = c.attrs.at("options");
  for (int step = 1; step <= 4; ++step) {
    const float* g = c.constant(size_t(step)).data();
    if (c.op == "sgd")
      cpu::sgd({o[0], o[1], o[2], o[3], o[4] != 0, step == 1}, p.size(), g, 1, p.mutable_data(),
               m.mutable_data());
    else
      cpu::adamw({o[0], o[1], o[2], o[3], o[4], step}, p.size(), g, 1, p.mutable_data(),
                 m.mutable_data(), v.mutable_data());
  }
  return p;
}

Tensor run_cross_entropy(const TorchCase& c, const Tensor& logits) {
  CrossEntropySpec spec{c.attr("smoothing")};
  if (const auto& w = c.attrs.at("weights"); !w.empty())
    spec.class_weights = Tensor::from<float>({int64_t(w.size())}, w);
  return cross_entropy(logits, c.constant(0).to(DType::i32), spec);
}

Tensor run(const TorchCase& c, const std::vector<Tensor>& in, std::vector<Tensor>& state) {
  if (c.op == "conv2d") return run_conv2d(c, in);
  if (c.op == "linear") return linear(in[0], in[1], in[2]);
  if (c.op == "matmul") return matmul(in[0], in[1]);
  if (c.op == "activate") return activate(in[0], Activation(c.attr("act")));
  if (c.op == "batch_norm") return run_batch_norm(c, in, state);
  if (c.op == "layer_norm") return layer_norm(in[0], in[1], in[2], 1e-6f);
  if (c.op == "attention") return run_attention(c, in);
  if (c.op == "cosine_heads") return cosine_heads(in[0], in[1]);
  if (c.op == "to_windows") return to_windows(in[0], window_spec(c));
  if (c.op == "from_windows")
    return from_windows(to_windows(in[0], window_spec(c)), window_spec(c), in[0].shape());
  if (c.op == "merge_patches") return merge_patches(in[0]);
  if (c.op == "lookup") return lookup(in[0], c.constant(0).to(DType::i64));
  if (c.op == "add_tokens") return add_tokens(in[0], in[1], in[2]);
  if (c.op == "mul_images") return mul_images(in[0], in[1]);
  if (c.op == "channels") return channels(in[0], int(c.attr("range", 0)), int(c.attr("range", 1)));
  if (c.op == "shuffle_channels") return shuffle_channels(in[0], int(c.attr("groups")));
  if (c.op == "max_pool2d") return max_pool2d(in[0], pool_spec(c));
  if (c.op == "avg_pool2d") return avg_pool2d(in[0], pool_spec(c));
  if (c.op == "adaptive_avg_pool2d")
    return adaptive_avg_pool2d(in[0], int(c.attr("size", 0)), int(c.attr("size", 1)));
  if (c.op == "softmax") return softmax(in[0]);
  if (c.op == "sum") return sum(in[0]);
  if (c.op == "mean") return mean(in[0]);
  if (c.op == "cross_entropy") return run_cross_entropy(c, in[0]);
  if (c.op == "sgd" || c.op == "adamw") return run_optimizer(c);
  ADD_FAILURE() << "unknown operation " << c.op;
  return {};
}

void expect_near(const Tensor& got, const Tensor& wanted, const std::string& what) {
  ASSERT_TRUE(got.defined()) << what;
  ASSERT_EQ(got.shape(), wanted.shape()) << what;
  float top = 0;
  for (int64_t i = 0; i < wanted.size(); ++i) top = std::max(top, std::abs(wanted.data()[i]));
  for (int64_t i = 0; i < wanted.size(); ++i)
    ASSERT_NEAR(got.data()[i], wanted.data()[i], 1e-5f * top + 1e-6f) << what << ", element " << i;
}

void compare(const TorchCase& c) {
  SCOPED_TRACE(c.name);
  std::vector<Tensor> inputs, state;
  if (c.tensors.contains("input")) inputs = c.tensors.at("input");
  for (Tensor& t : inputs) t.requires_grad(true);
  Tensor y = run(c, inputs, state);
  ASSERT_TRUE(y.defined());
  expect_near(y, c.tensors.at("output")[0], "output");
  if (c.op == "batch_norm")
    for (size_t i = 0; i < 2; ++i)
      expect_near(state[i], c.tensors.at("state")[i], "running statistic");
  if (inputs.empty()) return;
  Tensor r(y.shape());
  for (int64_t i = 0; i < r.size(); ++i) r.mutable_data()[i] = float(std::sin(double(i)));
  sum(mul(y, r)).backward();
  for (size_t i = 0; i < inputs.size(); ++i)
    expect_near(inputs[i].grad(), c.tensors.at("grad")[i], "gradient " + std::to_string(i));
}

TEST(Torch, CommittedValues) {
  std::istringstream text(kTorchValues);
  std::vector<TorchCase> cases = read_cases(text);
  EXPECT_GE(cases.size(), 6u);
  for (const TorchCase& c : cases) compare(c);
}

TEST(Torch, AllValues) {
  const char* folder = std::getenv("GRAFT_REFERENCE_DIR");
  if (!folder) GTEST_SKIP() << "GRAFT_REFERENCE_DIR is not set; tests/op_reference.py fills one";
  std::ifstream file(std::string(folder) + "/ops.txt");
  if (!file) GTEST_SKIP() << folder << "/ops.txt is not there";
  std::vector<TorchCase> cases = read_cases(file);
  EXPECT_GE(cases.size(), 40u);
  for (const TorchCase& c : cases) compare(c);
}

}  // namespace
}  // namespace graft
