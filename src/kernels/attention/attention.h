// Contract of the attention kernels: what lies between the two matrix products (which are those of kernels/gemm,
// on keys and values packed here), and the products themselves for a single query row, on keys and values in place.
//
// Softmax (SoftmaxArgs): for row r and key j, in place of the scores
//   t = scores[r][j] * scale (+ mask)               -inf where a bool mask is false
//   new max m = max(max[r], t..), rescale[r] = e^(max[r] - m), scores[r][j] = e^(t - m), sum[r] = sum[r] * rescale[r] +
//   sum_j
// Row r sees the first min(keys, visible + r * visible_step) keys; beyond them scores are 0. Start with max = -inf and
// sum = 0. A row without a finite score keeps max -inf, gets scores 0 and adds 0 to sum. NaN and +inf make the row NaN.
//
// Softmax to narrow rows (probabilities bf16 or u8): the same, but e^(t - m) goes to `out`, and the scores are
// unspecified afterwards. bf16: rounded to nearest even; sum is that of the unrounded. u8: round_to_even(255 e^(t -
// m)), and sum is that of the bytes. The exponentials are within 2e-4 of their value. A NaN makes the row's sum NaN.
//
// Values (ValuesArgs): rows of v as a packed B of kernels/gemm with K = keys, padded with zeros to 32 (bf16) or 64
// (s8):
//   bf16   source bf16 -> panels16x2_bf16
//   s8     source f32 -> panels16x4_s8, quantised by column: scale[d] = max_j |source[j][d]| / 127, 1 if that is 0;
//          round_to_even(source[j][d] * (127 / max)). A NaN counts as 0; an infinity makes its scale infinite.
//
// Move (MoveArgs), rows of `source` being `pitch` apart:
//   pack_keys    source keys x depth -> out [ceil(keys/16)][depth][16], a packed B of kernels/gemm with K = depth
//   pack_values  source keys x depth -> out [ceil(depth/16)][keys][16], a packed B of kernels/gemm with K = keys
//   dot          out[j] = sum_d weights[d] * source[j][d]                       j < keys
//   mix          out[d] = (accumulate ? out[d] : 0) + sum_j weights[j] * source[j][d]   d < depth
// Padding of packed panels is zero. Panels are aligned to 64 bytes, everything else to its elements. Nothing overlaps.
// No byte outside the named ranges is read or written. The order of every sum depends on the sizes and the row only.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::attention {

enum class Mask : std::uint8_t { none, kept, added };  // kept: bytes, non-zero keeps; added: f32

struct SoftmaxArgs {
  float* scores = nullptr;
  std::size_t pitch = 0, rows = 0, keys = 0;
  std::size_t visible = 0, visible_step = 0;
  float scale = 1.0f;
  Mask mask = Mask::none;
  const void* mask_data = nullptr;                   // of (row 0, key 0)
  std::size_t mask_row_step = 0, mask_key_step = 0;  // elements; mask_key_step is 0 or 1
  float* max = nullptr;                              // `rows` each
  float* sum = nullptr;
  float* rescale = nullptr;
  void* out = nullptr;  // narrow probabilities only
  std::size_t out_pitch = 0;
};
using SoftmaxKernel = void (*)(const SoftmaxArgs& args);

struct MoveArgs {
  const float* source = nullptr;
  std::size_t pitch = 0, keys = 0, depth = 0;
  const float* weights = nullptr;  // dot, mix
  bool accumulate = false;         // mix
  float* out = nullptr;
};
using MoveKernel = void (*)(const MoveArgs& args);

struct ValuesArgs {
  const void* source = nullptr;
  std::size_t pitch = 0, keys = 0, depth = 0;  // elements
  void* out = nullptr;                         // aligned to 64
  std::size_t panel = 0;                       // bytes from one panel of 16 columns to the next
  float* scale = nullptr;                      // s8: [depth]
};
using ValuesKernel = void (*)(const ValuesArgs& args);

}  // namespace intaglio::kernels::attention
