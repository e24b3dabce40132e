// Contract of the packed-weight GEMM micro-kernels. Every ISA file of this folder implements it; `table.h` lists them.
//
//   acc[i][j] = sum over k of A[i][k] * B[k][j]          i < m, j < n, k ascending, one chain of sums per element
//   out[i][j] = epilogue(acc[i][j])                      see Epilogue below
//
// One call computes one block of at most block_m x block_n outputs (the row's facts in kernels.inc) over any k >= 0.
// Loops over M, N and K, blocking, threads and scratch belong to the caller (ops/linear).
//
// Types. Two families:
//   f32      A f32, B f32, acc f32. FMA levels round once per step, scalar and sse42 twice. The order of the sum is
//            the same in every row of the table, so all FMA levels give equal bits, whatever the blocking.
//   u8s8i32  A u8, B s8, acc i32, exact (modulo 2^32; no intermediate saturation on any level).
//            s8 activations: xor every byte with 0x80 (adds 128) and add 128 to the activation's zero point.
//            u8 weights: the packer subtracts 128 (pack.h, flip); subtract 128 from the weight's zero point.
//
// Shapes. 0 <= m <= block_m, 0 <= n <= block_n. n need not be a multiple of anything; the kernel masks the tail and
// touches no byte of `out`, `partial`, residual or vectors outside m x n. `k` counts elements, any value; a K range
// that does not end the sum must have a length that is a multiple of tile_k (1 for f32, 4 for u8s8i32).
//
// A is row-major, `a_pitch` elements from row to row, read in place: m x k elements, not a byte more.
// B is packed (layout.h): panels of 16 columns, `b_panel` elements from one panel to the next, and inside a panel
// f32 [k][16], u8s8i32 [k/4][16][4]. Padding of K and N inside B is zero, and the kernel may read it. B of f32 must
// be aligned to 64 bytes; A, out, partial and vectors need only the alignment of their elements.
//
// Aliasing. `out` may be the same memory as `residual` (element for element) and as `partial`; nothing else may
// overlap. If `out` is also `residual`, `partial` must be other memory than both.
//
// NaN and infinity follow IEEE 754 through the sum, scale, bias, residual, relu and clamp: NaN in, NaN out. See Unary
// for the functions.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::gemm {

constexpr std::size_t kPanelWidth = 16;    // columns of one panel of B
constexpr std::size_t kInt8KGroup = 4;     // consecutive k of one column stored together in B s8
constexpr std::size_t kInt8KPadding = 64;  // K of a packed s8 panel is padded to this with zeros (shared with AMX)

// ONNX Relu, Gelu, Gelu(approximate=tanh), Swish/SiLU, Sigmoid, Tanh, by the functions of kernels/math (so a fused and
// a separate activation give the same bits): sigmoid and tanh within 4 ulp, the absolute error of gelu_* and silu at
// most 4 eps |x|. NaN gives NaN, +inf the limit; gelu and silu of -inf are NaN (0 * inf), as in the frameworks. clamp
// is not listed: it is a stage of its own, after the residual.
enum class Unary : std::uint8_t { none, relu, gelu_erf, gelu_tanh, silu, sigmoid, tanh };

// What happens between the accumulator and memory. For row i and column j of the whole problem, in this order, each
// step rounded to f32 on its own (no contraction), absent (null or false) steps skipped:
//
//   c  = acc                                                              i32 arithmetic modulo 2^32, u8s8i32 only:
//   c -= (row_zero ? row_zero[i] : zero) * column_sum[j]                  if column_sum
//   c -= row_term[i] * column_zero[j]                                     if column_zero
//   out = c                                                               and done, if out_type == i32
//   x  = float(c)                                                         round to nearest even
//   x *= s,  s = (row_scale ? row_scale[i] : scale) * column_scale[j]     if scaled; the factor column_scale only if
//   given x += bias[j]                                                          if bias x  = unary(x) x += residual[i *
//   residual_pitch + j]                                 if residual x  = min(max(x, clamp_low), clamp_high) if clamp
//   out = x                                                               out_type == f32
//
// With zero = a_zero_point, column_sum[j] = sum of packed B[.][j], column_zero = weight zero points and
// row_term[i] = (sum of A[i][.]) - K * a_zero_point this is MatMulInteger with both zero points; with scaled,
// scale = a_scale, column_scale = w_scale and bias it is the chain MatMulInteger, Cast, Mul(a_scale * w_scale), Add.
// relu after a residual is clamp with low = 0, high = inf.
struct Epilogue {
  const std::int32_t* row_zero = nullptr;
  std::int32_t zero = 0;
  const std::int32_t* column_sum = nullptr;
  const std::int32_t* row_term = nullptr;
  const std::int32_t* column_zero = nullptr;

  bool scaled = false;
  const float* row_scale = nullptr;
  float scale = 1.0f;
  const float* column_scale = nullptr;

  const float* bias = nullptr;
  Unary unary = Unary::none;

  const void* residual = nullptr;
  std::size_t residual_pitch = 0;    // elements
  DType residual_type = DType::f32;  // f32 only, so far

  bool clamp = false;
  float clamp_low = 0.0f;
  float clamp_high = 0.0f;

  DType out_type = DType::f32;  // f32, or i32 (u8s8i32 only)
};

// One call. Pointers of A, B, partial and out are those of the block; the epilogue's are those of the whole problem,
// indexed from (row, column), the block's first element.
struct Args {
  std::size_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  std::size_t a_pitch = 0;
  const void* b = nullptr;
  std::size_t b_panel = 0;

  // Sums over earlier K ranges, of the accumulator's type: read if load_partial; written if there is no epilogue.
  void* partial = nullptr;
  std::size_t partial_pitch = 0;
  bool load_partial = false;

  const Epilogue* epilogue = nullptr;  // null: this K range does not end the sum
  void* out = nullptr;
  std::size_t out_pitch = 0;
  std::size_t row = 0, column = 0;

  // B that a later call will read, to be brought into L2 meanwhile: before every `prefetch_every` k steps (of tile_k)
  // one line of each of this block's panels, from `prefetch` on, panels b_panel apart. Only a hint: any address is
  // legal.
  const void* prefetch = nullptr;
  std::size_t prefetch_every = 0;  // 0: none
};

using Kernel = void (*)(const Args& args);

}  // namespace intaglio::kernels::gemm
