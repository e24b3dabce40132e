// 8-bit GEMM on SSE4.2. Widening to 16 bits and pmaddwd keeps every sum exact; pmaddubsw would saturate. A panel's 64
// bytes (16 columns x 4 k) become eight vectors of 2 columns x 4 k; pmaddwd leaves two i32 per column, which are joined
// once, at the store. One row at a time: its eight sums and what a step needs fill the registers, and the widened
// column may be overwritten by its product, which two rows would have to copy first.
#include "kernels/gemm/dot_body.h"
#include "kernels/math/narrow128.h"

namespace intaglio::kernels::gemm {
namespace {

struct WidenU8 {
  using A = std::uint8_t;
  static __m128i widen(__m128i four) { return _mm_cvtepu8_epi16(four); }
};
struct WidenS8 {
  using A = std::int8_t;
  static __m128i widen(__m128i four) { return _mm_cvtepi8_epi16(four); }
};

template <class Widen>
struct Maddwd128 {
  using N = math::Narrow128;
  using A = typename Widen::A;
  using Acc = std::int32_t;
  static constexpr std::size_t kGroup = kInt8KGroup;
  static constexpr int kRows = 4;

  // The sums of one row.
  static void row(const A* a, const char* b, std::size_t k, std::int32_t* block) {
    __m128i acc[8];
#pragma GCC unroll 8
    for (int q = 0; q < 8; ++q) acc[q] = _mm_setzero_si128();
    const auto step = [&](const A* four) __attribute__((always_inline)) {
      const __m128i x = Widen::widen(_mm_set1_epi32(four_of(four)));
#pragma GCC unroll 8
      for (int q = 0; q < 8; ++q) {
        const __m128i column = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(b + q * 8)));
        acc[q] = _mm_add_epi32(acc[q], _mm_madd_epi16(column, x));
      }
    };
    for (; k >= kGroup; k -= kGroup, a += kGroup, b += kLineBytes) step(a);
    if (k != 0) {
      A rest[kGroup] = {};
      for (std::size_t i = 0; i < k; ++i) rest[i] = a[i];
      step(rest);
    }
#pragma GCC unroll 4
    for (int q = 0; q < 4; ++q)
      _mm_store_si128(reinterpret_cast<__m128i*>(block) + q, _mm_hadd_epi32(acc[2 * q], acc[2 * q + 1]));
  }

  template <int MR>
  static void rows(const Args& g) {
    if constexpr (MR > 1) {
      if (g.m < static_cast<std::size_t>(MR)) return rows<MR - 1>(g);
    }
    alignas(64) std::int32_t block[MR * kPanelWidth];
    for (std::size_t i = 0; i < MR; ++i)
      row(static_cast<const A*>(g.a) + i * g.a_pitch, static_cast<const char*>(g.b), g.k, block + i * kPanelWidth);
    if (g.load_partial) DotBlock<Maddwd128, MR, 1>::add_partial(g, block);
    leave_block<N, MR, 1>(g, block);
  }
};

}  // namespace

void gemm_u8s8i32_4x16x4_1x16x4_sse42(const Args& args) {
  if (args.m != 0 && args.n != 0) Maddwd128<WidenU8>::rows<4>(args);
}
void gemm_s8s8i32_4x16x4_1x16x4_sse42(const Args& args) {
  if (args.m != 0 && args.n != 0) Maddwd128<WidenS8>::rows<4>(args);
}

}  // namespace intaglio::kernels::gemm
