// The floor under inference: the convolutions of ResNet-50 or VGG-16 as bare oneDNN primitives
// (NHWC, packed weights, bias and ReLU fused), nothing else. `raw_conv resnet50|vgg16 BATCH` prints
// "ready", then for every line on standard input the seconds of all of them, one after the other.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <dnnl.hpp>
#include <iostream>
#include <memory>
#include <unordered_map>
#include <vector>

namespace {

using namespace dnnl;

struct Row {
  int side, in, out, kernel, stride, count;  // padding kernel / 2
};

const std::vector<Row> kResNet50 = {
    {224, 3, 64, 7, 2, 1},    {56, 64, 64, 1, 1, 1},     {56, 64, 256, 1, 1, 4},
    {56, 256, 64, 1, 1, 2},   {56, 64, 64, 3, 1, 3},     {56, 256, 128, 1, 1, 1},
    {56, 128, 128, 3, 2, 1},  {56, 256, 512, 1, 2, 1},   {28, 128, 512, 1, 1, 4},
    {28, 512, 128, 1, 1, 3},  {28, 128, 128, 3, 1, 3},   {28, 512, 256, 1, 1, 1},
    {28, 256, 256, 3, 2, 1},  {28, 512, 1024, 1, 2, 1},  {14, 256, 1024, 1, 1, 6},
    {14, 1024, 256, 1, 1, 5}, {14, 256, 256, 3, 1, 5},   {14, 1024, 512, 1, 1, 1},
    {14, 512, 512, 3, 2, 1},  {14, 1024, 2048, 1, 2, 1}, {7, 512, 2048, 1, 1, 3},
    {7, 2048, 512, 1, 1, 2},  {7, 512, 512, 3, 1, 2}};

const std::vector<Row> kVgg16 = {
    {224, 3, 64, 3, 1, 1},   {224, 64, 64, 3, 1, 1},  {112, 64, 128, 3, 1, 1},
    {112, 128, 128, 3, 1, 1}, {56, 128, 256, 3, 1, 1}, {56, 256, 256, 3, 1, 2},
    {28, 256, 512, 3, 1, 1}, {28, 512, 512, 3, 1, 2}, {14, 512, 512, 3, 1, 3}};

struct Convolution {
  convolution_forward primitive;
  std::unordered_map<int, memory> arguments;
  int count;
};

Convolution make(const Row& row, int batch, const engine& cpu) {
  using tag = memory::format_tag;
  constexpr auto f32 = memory::data_type::f32;
  int pad = row.kernel / 2, out = (row.side + 2 * pad - row.kernel) / row.stride + 1;
  memory::desc x({batch, row.in, row.side, row.side}, f32, tag::nhwc);
  memory::desc w({row.out, row.in, row.kernel, row.kernel}, f32, tag::any);
  memory::desc b({row.out}, f32, tag::x);
  memory::desc y({batch, row.out, out, out}, f32, tag::nhwc);
  post_ops relu;
  relu.append_eltwise(1, algorithm::eltwise_relu, 0, 0);
  primitive_attr attr;
  attr.set_post_ops(relu);
  convolution_forward::primitive_desc desc(
      {prop_kind::forward_inference, algorithm::convolution_direct, x, w, b, y,
       {row.stride, row.stride}, {pad, pad}, {pad, pad}}, attr, cpu);
  std::unordered_map<int, memory> arguments{{DNNL_ARG_SRC, memory(desc.src_desc(), cpu)},
                                            {DNNL_ARG_WEIGHTS, memory(desc.weights_desc(), cpu)},
                                            {DNNL_ARG_BIAS, memory(desc.bias_desc(), cpu)},
                                            {DNNL_ARG_DST, memory(desc.dst_desc(), cpu)}};
  for (auto& [name, m] : arguments) std::memset(m.get_data_handle(), 0, m.get_desc().get_size());
  return {convolution_forward(desc), arguments, row.count};
}

double seconds() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::puts("usage: raw_conv resnet50|vgg16 BATCH"), 64;
  const auto& rows = std::strcmp(argv[1], "vgg16") == 0 ? kVgg16 : kResNet50;
  engine cpu(engine::kind::cpu, 0);
  stream stream(cpu);
  std::vector<Convolution> all;
  for (const Row& row : rows) all.push_back(make(row, std::atoi(argv[2]), cpu));
  std::puts("ready");
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    double begin = seconds();
    for (const Convolution& c : all) {
      for (int i = 0; i < c.count; ++i) c.primitive.execute(stream, c.arguments);
      stream.wait();
    }
    std::printf("%.6f 0\n", seconds() - begin);
    std::fflush(stdout);
  }
}
