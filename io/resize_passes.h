// The two inner loops of Resize, with AVX2 where the machine has it; resize.cpp is their only user.
#pragma once
#include "io/resize.h"

namespace graft {

// Bytes that column_pass may read behind the last source pixel, and write behind the last result.
constexpr int resize_slack = 32;

// out[j] (pixels, RGB) from one row of the source; `row` points at source column taps.begin.
// Four rows at a time: rows[k] -> outs[k].
void column_pass(const ResizeTaps& taps, const uint8_t* const rows[4], uint8_t* const outs[4]);

// One result row of `bytes` bytes: the sum over `count` rows, `stride` bytes apart, each with a
// weight. `weight` is padded to an even number.
void row_pass(const uint8_t* rows, int64_t stride, int count, const int32_t* weight, uint8_t* out,
              int bytes);

// The same without vector instructions; for tests.
void column_pass_plain(const ResizeTaps& taps, const uint8_t* const rows[4],
                       uint8_t* const outs[4]);
void row_pass_plain(const uint8_t* rows, int64_t stride, int count, const int32_t* weight,
                    uint8_t* out, int from, int bytes);

}  // namespace graft
