// Packing of B into the layouts of layout.h: once per weight, or at each run if B is no constant. Plain code for
// x86-64-v2: no kernel row.
#pragma once

#include "kernels/gemm/layout.h"

namespace intaglio::kernels::gemm {

// B as it lies in memory: element (k, j) at data[k * k_stride + j * n_stride], strides in elements. ONNX MatMul [K, N]:
// strides N, 1; a linear's weight [N, K]: strides 1, K.
struct PackSource {
  const void* data = nullptr;
  std::size_t k = 0, n = 0;
  std::size_t k_stride = 0, n_stride = 0;
};

// Each packs panels [panel_begin, panel_end) into `packed`, the start of the whole packed B (packed_bytes() long,
// aligned to 64). All of these panels is written, padding included; different panels may be packed by different
// threads. Sources must be aligned to their elements.
void pack_f32(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, float* packed);

// 16-bit floats. source_type: the type of the packed elements, or f32, then each is rounded to nearest even.
void pack_f16(const PackSource& source, DType source_type, std::size_t panel_begin, std::size_t panel_end,
              Float16* packed);
void pack_bf16(const PackSource& source, DType source_type, std::size_t panel_begin, std::size_t panel_end,
               BFloat16* packed);

// 8-bit weights. flip: the source is u8, and 128 is subtracted from each (xor 0x80).
// column_sums[j], j < n: the sum over k of the *packed* value (after the flip), written for the columns of these
// panels; may be null.
void pack_s8(const PackSource& source, bool flip, std::size_t panel_begin, std::size_t panel_end, std::int8_t* packed,
             std::int32_t* column_sums);

// 4-bit codes 0..15, two to a byte: element e of the source (e = k * k_stride + j * n_stride) is the low nibble of byte
// e / 2 if e is even, else its high nibble.
void pack_u4(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, std::uint8_t* packed);

// Scales or zeros of groups of k, element (g, j) at data[g * k_stride + j * n_stride] with source.k = group count, into
// the [panel][group][16] of GroupTable; columns beyond n are 0. `data` is f32.
void pack_groups(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, float* packed);

}  // namespace intaglio::kernels::gemm
