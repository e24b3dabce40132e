// Packing of B into the layouts of layout.h, done once per weight. Plain code for x86-64-v2: no kernel row.
#pragma once

#include "kernels/gemm/layout.h"

namespace intaglio::kernels::gemm {

// B as it lies in memory: element (k, j) at data[k * k_stride + j * n_stride]. ONNX MatMul [K, N]: strides N, 1;
// a linear's weight [N, K]: strides 1, K.
struct PackSource {
  const void* data = nullptr;
  std::size_t k = 0, n = 0;
  std::size_t k_stride = 0, n_stride = 0;
};

// Packs panels [panel_begin, panel_end) into `packed`, the start of the whole packed B (packed_bytes() long, aligned to
// 64). All of these panels is written, padding included; different panels may be packed by different threads.
void pack_f32(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, float* packed);

// The same for 8-bit weights. flip: the source is u8, and 128 is subtracted from each (xor 0x80).
// column_sums[j], j < n: the sum over k of the *packed* value (after the flip), written for the columns of these
// panels; may be null.
void pack_s8(const PackSource& source, bool flip, std::size_t panel_begin, std::size_t panel_end, std::int8_t* packed,
             std::int32_t* column_sums);

}  // namespace intaglio::kernels::gemm
