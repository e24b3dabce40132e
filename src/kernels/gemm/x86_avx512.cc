// f32 GEMM on AVX-512: 24 accumulators, 4 vectors of B, one broadcast of A.
// 6x64 against 14x32, Zen 4, 1 thread, 2026-11, share of the register-only peak, Kc 384, Mc 96: 1024^3 97 against 74 %,
// 512x3072x768 93 against 91, 128x768x3072 94 against 75: fourteen rows of A whose pitch is a multiple of 4 KiB fall
// into one set of an 8-way L1, six do not overflow it.
#include "kernels/gemm/f32_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::gemm {

void gemm_f32_6x64x1_1x16x1_avx512(const Args& args) {
  f32_block<math::Narrow512, PlainWeights, 6, 4>(args);
}

}  // namespace intaglio::kernels::gemm
