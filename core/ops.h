// The operations: each checks shapes, computes, and records one gradient per input that wants one.
// One file each under core/ops/: shape rule, note in a trace, forward and gradients on one page.
// All take and return f32 unless said otherwise; activations are (N, H, W, C). On a CUDA device
// activations and their gradients may be bf16 or f16, and then results are of that type, too;
// parameters, statistics, losses and the gradients of parameters are f32 always.
#pragma once
#include <array>
#include <functional>
#include <vector>

#include "core/tensor.h"
#include "kernels/activation.h"
#include "kernels/augment.h"
#include "kernels/conv2d.h"

namespace graft {

// ---- convolution and matrix products ----------------------------------------------------------
struct ConvSpec {
  std::array<int, 2> stride{1, 1};         // height, width
  std::array<int, 4> padding{0, 0, 0, 0};  // top, left, bottom, right
  std::array<int, 2> dilation{1, 1};
  int groups = 1;
};

// x (N,H,W,C), w (O,R,S,C/groups), bias (O) or undefined, residual like the result or undefined:
// y = activation(conv(x, w) + bias + residual), one kernel. A residual that nobody else holds is
// overwritten with the result when nothing is recorded.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation = Activation::none, Tensor residual = {});

// Weights that stay as they are from call to call, with the scale of a norm after them:
// y = activation(scale conv(x, weight) + bias + residual). Packed in the order that the kernel wants;
// where the packed form holds the weight's own values, the weight itself is put away.
struct FrozenFilter {
  Tensor weight;          // (O,R,S,C/groups)
  Tensor scale;           // (O) or undefined
  uint64_t version = 0;   // grows when one of the two changes
  bool may_round = false; // to bf16 where that is allowed (core/device.h)
  PackedFilter packed;    // on the processor
  Tensor scaled;          // weight times scale, as gradients on a CUDA device read it
  uint64_t scaled_version = 0;
};
Tensor conv2d(const Tensor& x, FrozenFilter& w, const Tensor& bias, const ConvSpec& spec,
              Activation activation = Activation::none, Tensor residual = {});

// x (...,I), w (O,I), bias (O) or undefined -> activation(x w^T + bias), (...,O). The frozen form
// takes the weight as a filter (O,1,1,I).
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias,
              Activation activation = Activation::none);
Tensor linear(const Tensor& x, FrozenFilter& w, const Tensor& bias,
              Activation activation = Activation::none);
Tensor matmul(const Tensor& a, const Tensor& b);  // (M,K) (K,N) -> (M,N)

// ---- tokens -----------------------------------------------------------------------------------
struct AttentionSpec {
  int heads = 1;
  bool scaled = true;  // the scores q k^T are divided by sqrt(C / heads)
};
// Of qkv (N,T,3C), which holds queries, keys and values: softmax(scores + bias + mask) v for every
// head's share of the channels, side by side: (N,T,C). bias (heads,T,T) is the same for all images;
// of mask (M,T,T), a constant, image i takes the (i mod M)th. Both may be undefined.
Tensor attention(const Tensor& qkv, const AttentionSpec& spec, const Tensor& bias = {},
                 const Tensor& mask = {});
// Of the same qkv (...,3C): every head's queries and keys brought to length 1, its queries then times
// e^l, where l of log_factors, one for each head, counts as ln 100 at most.
Tensor cosine_heads(const Tensor& qkv, const Tensor& log_factors);
// x (N,T,C) with one more token before it, then + positions (1,T+1,C): (N,T+1,C).
Tensor add_tokens(const Tensor& x, const Tensor& first, const Tensor& positions);
// table (R,C), index of any shape with n numbers of rows, i64 -> (C,n): the rows, transposed. An index
// on a CUDA device is not looked through first: there a number of no row gives NaN.
Tensor lookup(const Tensor& table, const Tensor& index);

struct WindowSpec {
  std::array<int, 2> window{1, 1};  // height, width
  std::array<int, 2> shift{0, 0};   // up, left; cyclic, smaller than the window
};
// x (N,H,W,C), padded with zeros below and to the right up to whole windows, then shifted, in W
// windows of T tokens: (N W, T, C). And back, without the padding, to the shape `map`.
Tensor to_windows(const Tensor& x, const WindowSpec& spec);
Tensor from_windows(const Tensor& y, const WindowSpec& spec, const Shape& map);
// (W,T,T) for attention() in the windows of a map of h x w pixels: `value` where the shift has put
// two tokens into one window that are no neighbours, else 0.
Tensor window_mask(int64_t h, int64_t w, const WindowSpec& spec, float value);
// x (N,H,W,C), padded with zeros to even sides -> (N,H/2,W/2,4C): of every 2x2 pixels the left
// column from top to bottom, then the right one.
Tensor merge_patches(const Tensor& x);

// ---- normalisation ----------------------------------------------------------------------------
// Batch norm over all but the last dimension of x (..., C), then + residual, then the activation,
// in one pass. gamma, beta, mean, var: (C).
// Training form: normalises with the batch's mean and biased variance, and moves the running
// statistics: running = (1 - momentum) running + momentum batch (unbiased variance), as PyTorch.
Tensor batch_norm_train(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                        Tensor running_mean, Tensor running_var, float momentum, float eps,
                        Activation activation = Activation::none, const Tensor& residual = {},
                        bool update_running = true);
// Frozen form: normalises with the given statistics, which are constants; gamma and beta may learn.
Tensor batch_norm_frozen(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                         const Tensor& mean, const Tensor& var, float eps,
                         Activation activation = Activation::none, const Tensor& residual = {});

// Layer norm over the last dimension of x (..., C), each row by its own mean and biased variance;
// gamma, beta: (C).
Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, float eps);

// ---- elementwise ------------------------------------------------------------------------------
Tensor activate(const Tensor& x, Activation activation);
Tensor relu(const Tensor& x);
Tensor relu6(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor silu(const Tensor& x);
Tensor gelu(const Tensor& x);  // exact, with erf
Tensor hardswish(const Tensor& x);
Tensor hardsigmoid(const Tensor& x);
Tensor add(const Tensor& a, const Tensor& b);            // same shapes, or b (C) along the last one
Tensor mul(const Tensor& a, const Tensor& b);            // likewise
Tensor mul_images(const Tensor& x, const Tensor& s);     // x (N,H,W,C), s (N,1,1,C) over H and W
Tensor scale(const Tensor& x, float factor);
Tensor scale(const Tensor& x, const Tensor& factor);     // (), where x is
// Zeroes each element with probability p and scales the rest by 1/(1-p). The mask is a pure
// function of (seed, step, element), so it can be replayed. `step` is () i64, best where x is.
Tensor dropout(const Tensor& x, float p, uint64_t seed, const Tensor& step);
// The same for whole images, x (N,...).
Tensor drop_images(const Tensor& x, float p, uint64_t seed, const Tensor& step);
Tensor random_step(uint64_t step);  // such a number, on the processor

// ---- shape ------------------------------------------------------------------------------------
Tensor flatten(const Tensor& x);                                       // (N, rest)
Tensor concat(const std::vector<Tensor>& parts);                       // along the last dimension
Tensor channels(const Tensor& x, int64_t begin, int64_t end);          // of the last dimension
// Channels in `groups` rows of a matrix, read by columns: 0 1 2 3 4 5 -> 0 3 1 4 2 5 for two.
Tensor shuffle_channels(const Tensor& x, int groups);
Tensor pad(const Tensor& x, std::array<int, 4> padding, float value);  // top, left, bottom, right

// ---- pooling ----------------------------------------------------------------------------------
struct PoolSpec {
  std::array<int, 2> window{2, 2};
  std::array<int, 2> stride{2, 2};
  std::array<int, 4> padding{0, 0, 0, 0};  // top, left, bottom, right
  bool ceil_mode = false;                  // as PyTorch: the last window must start inside x
  bool count_padding = true;               // average pooling only
};
Tensor max_pool2d(const Tensor& x, const PoolSpec& spec);
Tensor avg_pool2d(const Tensor& x, const PoolSpec& spec);
Tensor adaptive_avg_pool2d(const Tensor& x, int out_h, int out_w);
Tensor global_avg_pool(const Tensor& x);  // (N,H,W,C) -> (N,C)

// ---- reductions and loss ----------------------------------------------------------------------
Tensor sum(const Tensor& x);   // -> ()
Tensor mean(const Tensor& x);  // -> ()
Tensor softmax(const Tensor& logits);  // over the last dimension
struct CrossEntropySpec {
  float label_smoothing = 0;
  Tensor class_weights;  // (C) f32; undefined: all one
};
// logits (N,C), labels (N) i32 -> mean loss (), as PyTorch's cross_entropy.
Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropySpec& spec = {});

// ---- input ------------------------------------------------------------------------------------
// u8 pixels (N,H,W,3) -> (x * scale - mean) / std per channel; bgr swaps channels 0 and 2 first.
Tensor normalize(const Tensor& pixels, float scale, std::array<float, 3> mean,
                 std::array<float, 3> std, bool bgr = false, DType dtype = DType::f32);


// Cuts of pictures that are on a CUDA device, (height, width, 3) u8 each: cuts[i] of pictures[i], its
// box resized by antialiased bilinear interpolation, -> (cuts, size, size, 3) u8. The bytes are
// those of io/resize.h.
Tensor cut_pictures(const std::vector<Tensor>& pictures, std::vector<Cut> cuts, int size);

}  // namespace graft
