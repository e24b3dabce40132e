// Contract of the packed-weight GEMM micro-kernels. Every ISA file of this folder implements it; `table.h` lists them.
//
//   acc[i][j] = sum over k of A[i][k] * B[k][j]          i < m, j < n
//   out[i][j] = epilogue(acc[i][j])                      see Epilogue below
//
// One call computes one block of at most block_m x block_n outputs (the row's facts in kernels.inc) over any k >= 0.
// Loops over M, N and K, blocking, threads and scratch belong to the caller (ops/linear).
//
// Types (table.h names them; layout.h says how each B lies in memory):
//   f32      A f32, B f32, acc f32. k ascending, one chain of sums per element; FMA levels round once per step, scalar
//            and sse42 twice. All FMA levels give equal bits, whatever the blocking.
//   f32bf16, f32f16   A f32, B narrower: each weight is widened to f32 (exact), then as f32. The same bits as f32 with
//            the widened weights.
//   f32w8, f32w4      A f32, B integer codes with a scale and a zero per (group of k, column): the weight is
//            (code - zero) * scale, the difference exact, the product rounded to f32; then as f32 with those weights,
//            k ascending. Codes are s8, or u4 in 0..15.
//   bf16     A bf16, B bf16, acc f32: pairs of k at a time, by the level's own instruction; products are exact,
//            sums are rounded to f32 in an order that is the level's, denormals may count as 0. Bits differ between
//            levels.
//   f16      A f16, B f16, acc f32: widened exactly, then as f32 (equal bits to f32f16 on the widened A).
//   u8s8i32  A u8, B s8, acc i32, exact (modulo 2^32; no intermediate saturation on any level).
//   s8s8i32  A s8, B s8, acc i32, exact. Rows with an `a_offset` compute sum (a + a_offset) * b instead: the caller
//            takes a_offset * column sum away by Epilogue::column_start.
//   s8w4     A s8, B u4 codes with a scale and a zero per (group of k, column), acc f32:
//            sum over groups g, ascending, of scale[g][j] * float(sum_{k in g} A * code - zero[g][j] * A's sum over g);
//            the inner difference exact in i32, each term added by one FMA (levels without: two roundings).
// u8 weights: the packer subtracts 128 (pack.h, flip); subtract 128 from the weight's zero point.
//
// Shapes. 0 <= m <= block_m, 0 <= n <= block_n. n need not be a multiple of anything; the kernel masks the tail and
// touches no byte of `out`, `partial`, residual or vectors outside m x n. `k` counts elements, any value; a K range
// that does not end the sum must have a length that is a multiple of tile_k and, with groups, of the group.
//
// A is row-major, `a_pitch` elements from row to row, read in place: m x k elements, not a byte more.
// B is packed (layout.h): panels of 16 columns, `b_panel` bytes from one panel to the next. Padding of K and N inside B
// is zero, and the kernel may read it. B must be aligned to 64 bytes; A, out, partial and vectors need only the
// alignment of their elements.
//
// Aliasing. `out` may be the same memory as `residual` (element for element, equal sizes) and as `partial`; nothing
// else may overlap. If `out` is also `residual`, `partial` must be other memory than both.
//
// NaN and infinity follow IEEE 754 through the sum, scale, bias, residual, relu and clamp: NaN in, NaN out (an
// 8-bit output of NaN is 0, as kernels/quantize has it). See Unary for the functions.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::gemm {

constexpr std::size_t kPanelWidth = 16;    // columns of one panel of B
constexpr std::size_t kInt8KGroup = 4;     // consecutive k of one column stored together in B s8
constexpr std::size_t kPairKGroup = 2;     // the same in B bf16
constexpr std::size_t kNibbleKGroup = 8;   // the same in B u4
constexpr std::size_t kLineBytes = 64;     // one step of k of one panel: 16 columns x 4 bytes, in every layout but f16
constexpr std::size_t kInt8KPadding = 64;  // K of a packed s8 or u4 panel is padded to this with zeros (an AMX tile)
constexpr std::size_t kPairKPadding = 32;  // the same of bf16

// ONNX Relu, Gelu, Gelu(approximate=tanh), Swish/SiLU, Sigmoid, Tanh, HardSwish, by the functions of kernels/math (so a
// fused and a separate activation give the same bits): sigmoid and tanh within 4 ulp, the absolute error of gelu_* and
// silu at most 4 eps |x|; hard_swish is x * clamp(x / 6 + 1/2, 0, 1). NaN gives NaN, +inf the limit; gelu, silu and
// hard_swish of -inf are NaN (0 * inf), as in the frameworks. clamp is not listed: it is a stage of its own, after the
// residual. Stored in plans: append only.
enum class Unary : std::uint8_t { none, relu, gelu_erf, gelu_tanh, silu, sigmoid, tanh, hard_swish };

// What happens between the accumulator and memory. For row i and column j of the whole problem, in this order, each
// step rounded to f32 on its own (no contraction), absent (null or false) steps skipped:
//
//   c  = acc                                                     i32 arithmetic modulo 2^32; *i32 types only:
//   c += column_start[j]                                         if column_start
//   c -= (row_zero ? row_zero[i] : zero) * column_sum[j]         if column_sum
//   c -= row_term[i] * column_zero[j]                            if column_zero
//   out = c                                                      and done, if out_type == i32
//   x  = float(c)                                                round to nearest even
//
//   x *= s                                                       if scaled;
//        s = (row_scale ? row_scale[i] : scale) * column_scale[j], the second factor if column_scale
//   x += bias[j]                                                 if bias
//   x  = unary(x)
//   x  = residual_multiply ? x * r : x + r                       if residual;
//        r = residual[i * residual_pitch + j], widened; 8-bit: float(value - residual_zero) * residual_scale
//   x  = min(max(x, clamp_low), clamp_high)                      if clamp
//   row_max[i] = max(row_max[i], |x|)                            if row_max; a NaN is passed over
//
//   out = x                                                      f32; bf16, f16: rounded to nearest even
//   out = saturate(round_to_even(x / out_scale) + out_zero)      s8, u8: a true division, a NaN quotient gives 0:
//                                                                ONNX QuantizeLinear (kernels/quantize)
//
// With zero = a_zero_point, column_sum[j] = sum of packed B[.][j], column_zero = weight zero points and
// row_term[i] = (sum of A[i][.]) - K * a_zero_point this is MatMulInteger with both zero points; with scaled,
// scale = a_scale, column_scale = w_scale and bias it is the chain MatMulInteger, Cast, Mul(a_scale * w_scale), Add.
// A zero point known when weights are packed costs nothing: column_start[j] = -zero * column_sum[j].
// relu after a residual is clamp with low = 0, high = inf.
struct Epilogue {
  const std::int32_t* column_start = nullptr;
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
  DType residual_type = DType::f32;  // f32, bf16, f16, i8, u8
  bool residual_multiply = false;
  float residual_scale = 1.0f;     // of 8-bit residuals
  std::int32_t residual_zero = 0;  // of 8-bit residuals

  bool clamp = false;
  float clamp_low = 0.0f;
  float clamp_high = 0.0f;

  // Indexed by the problem's row, unlike any other vector *read and written*: the caller gives each column range that a
  // thread owns a vector of its own, sets it to 0 before the first call and joins the vectors after the last.
  float* row_max = nullptr;

  DType out_type = DType::f32;  // f32, bf16, f16, i8, u8, or i32 (*i32 types only)
  float out_scale = 1.0f;       // of 8-bit outputs
  std::int32_t out_zero = 0;    // of 8-bit outputs, a value of the type
};

// Scales and zeros of integer codes (f32w8, f32w4, s8w4), f32, per panel [groups][16]: those of group g of panel p
// begin at scale + p * panel + g * 16. Padding columns have scale 0.
struct GroupTable {
  const float* scale = nullptr;            // of the block's first panel and the K range's first group, aligned to 64
  const float* zero = nullptr;             // the same shape; null: all codes count from `center`
  float center = 0.0f;                     // 0 for s8 codes, 8 for symmetric u4
  std::size_t panel = 0;                   // elements from one panel to the next
  std::size_t group = 0;                   // k per group: a multiple of 32
  const std::int32_t* row_sums = nullptr;  // s8w4: A's sums [m][groups], those of the block's first row and group
  std::size_t row_sums_pitch = 0;
};

// One call. Pointers of A, B, partial and out are those of the block; the epilogue's are those of the whole problem,
// indexed from (row, column), the block's first element.
struct Args {
  std::size_t m = 0, n = 0, k = 0;
  const void* a = nullptr;
  std::size_t a_pitch = 0;  // elements
  const void* b = nullptr;
  std::size_t b_panel = 0;  // bytes
  GroupTable groups;

  // Sums over earlier K ranges, of the accumulator's type: read if load_partial; written if there is no epilogue.
  void* partial = nullptr;
  std::size_t partial_pitch = 0;
  bool load_partial = false;

  const Epilogue* epilogue = nullptr;  // null: this K range does not end the sum
  void* out = nullptr;
  std::size_t out_pitch = 0;  // elements
  std::size_t row = 0, column = 0;

  // B that will be read later, to be brought into L2 meanwhile: before every `prefetch_every` steps of k (a step is one
  // line of a panel) one line of each of this block's panels, panels b_panel apart: the first `prefetch_lines` from
  // `prefetch` on, the others from `prefetch_then` on (null: all from `prefetch`). Rows whose block_m is large spread
  // the same number of lines, from `prefetch` on, evenly over the call. Only a hint: any address is legal.
  const void* prefetch = nullptr;
  const void* prefetch_then = nullptr;
  std::size_t prefetch_lines = 0;
  std::size_t prefetch_every = 0;  // 0: none
};

using Kernel = void (*)(const Args& args);
// Rows that need the core set up (AMX tiles) have these: `enter` before a thread's first call of a run of calls,
// `leave` after its last. Between them the thread calls kernels of this row, and may call kernels of any row.
using Setup = void (*)();

}  // namespace intaglio::kernels::gemm
