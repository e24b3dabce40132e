// From a block of accumulators in memory (a scratch in L1) to the output: the Epilogue of gemm.h over a narrow policy N
// (kernels/math/narrow*.h; N::V is its vector policy). A row of the block is held in registers while the stages run, so
// a stage costs one predictable branch per row of up to kVectors vectors and no memory traffic. The block was just
// stored by the micro-kernel; a store and a load per vector cost about 2 cycles against K FMAs. ISA files only.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/math/divide.h"
#include "kernels/math/functions.h"

namespace intaglio::kernels::gemm {
namespace {

// `count` >= kLanes: a whole vector; else only the first `count` elements are touched.
template <class V, class T>
inline auto load_some(const T* from, std::size_t count) {
  return count >= V::kLanes ? V::load(from) : V::load_n(from, count);
}
template <class V, class T, class R>
inline void store_some(T* to, R value, std::size_t count) {
  if (count >= V::kLanes) {
    V::store(to, value);
  } else if (count != 0) {
    V::store_n(to, value, count);
  }
}

// x / scale for 8-bit outputs: what is rounded to an integer afterwards is that of a true division (math/divide.h).
template <class V>
struct Quotient {
  math::ByInverse<V, true> inverse;
  math::ByDivision<V> division;
  bool fast;

  explicit Quotient(float s) : inverse(s), division(s), fast(math::ByInverse<V, true>::serves(s)) {}
  inline __attribute__((always_inline)) typename V::F operator()(typename V::F x) const {
    return fast ? inverse(x) : division(x);
  }
};

// The stages on one row of the block, or on kRows at once where rows are short and a stage's branch weighs. kVectors
// vectors a row; the row has `n` columns. x[v] is vector v % kVectors of row v / kVectors.
template <class N, int kVectors, bool kFull, int kRows = 1>
struct RowEpilogue {
  using V = typename N::V;
  using F = typename V::F;
  using I = typename V::I;
  static constexpr std::size_t kLanes = V::kLanes;
  static constexpr int kAll = kRows * kVectors;

  const Args& g;
  const Epilogue& e;
  Quotient<V> quotient;

  explicit RowEpilogue(const Args& args) : g(args), e(*args.epilogue), quotient(args.epilogue->out_scale) {}

  static std::size_t lane_of(int v) { return static_cast<std::size_t>(v % kVectors) * kLanes; }
  static std::size_t row_of(int v) { return static_cast<std::size_t>(v / kVectors); }
  // Columns that vector v covers, 0 when it lies beyond the row.
  inline __attribute__((always_inline)) std::size_t count(int v) const {
    if (kFull) return kLanes;
    const std::size_t begin = lane_of(v);
    return g.n <= begin ? 0 : g.n - begin < kLanes ? g.n - begin : kLanes;
  }
  // x[v] = f(x[v], v) for the vectors that the row has.
  template <class T, class Map>
  inline __attribute__((always_inline)) void each(T (&x)[kAll], Map f) const {
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) {
      if (kFull || count(v) != 0) x[v] = f(x[v], v);
    }
  }
  template <class T>
  inline __attribute__((always_inline)) auto column(const T* vector, int v) const {
    return load_some<V>(vector + g.column + lane_of(v), count(v));
  }

  inline __attribute__((always_inline)) void integer(I (&c)[kAll], std::size_t row) const {
    if (e.column_start != nullptr) each(c, [&](I x, int v) { return V::addi(x, column(e.column_start, v)); });
    if (e.column_sum != nullptr) {
      I zero[kRows];
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r)
        zero[r] = V::set1i(e.row_zero != nullptr ? e.row_zero[row + static_cast<std::size_t>(r)] : e.zero);
      each(c, [&](I x, int v) { return V::subi(x, V::muli(zero[row_of(v)], column(e.column_sum, v))); });
    }
    if (e.column_zero != nullptr) {
      each(c, [&](I x, int v) {
        return V::subi(x, V::muli(V::set1i(e.row_term[row + row_of(v)]), column(e.column_zero, v)));
      });
    }
  }

  inline __attribute__((always_inline)) void scale_and_bias(F (&x)[kAll], std::size_t row) const {
    if (e.scaled) {
      F s[kRows];
#pragma GCC unroll 2
      for (int r = 0; r < kRows; ++r)
        s[r] = V::set1(e.row_scale != nullptr ? e.row_scale[row + static_cast<std::size_t>(r)] : e.scale);
      if (e.column_scale != nullptr) {
        each(x, [&](F y, int v) { return V::mul(y, V::mul(s[row_of(v)], column(e.column_scale, v))); });
      } else {
        each(x, [&](F y, int v) { return V::mul(y, s[row_of(v)]); });
      }
    }
    if (e.bias != nullptr) each(x, [&](F y, int v) { return V::add(y, column(e.bias, v)); });
  }

  inline __attribute__((always_inline)) void unary(F (&x)[kAll]) const {
    switch (e.unary) {
      case Unary::none:
        return;
      case Unary::relu:
        return each(x, [](F y, int) { return V::max(V::set1(0.0f), y); });
      case Unary::gelu_erf:
        return each(x, [](F y, int) { return math::gelu_erf_v<V>(y); });
      case Unary::gelu_tanh:
        return each(x, [](F y, int) { return math::gelu_tanh_v<V>(y); });
      case Unary::silu:
        return each(x, [](F y, int) { return math::silu_v<V>(y); });
      case Unary::sigmoid:
        return each(x, [](F y, int) { return math::sigmoid_v<V>(y); });
      case Unary::tanh:
        return each(x, [](F y, int) { return math::tanh_v<V>(y); });
      case Unary::hard_swish:
        return each(x, [](F y, int) { return math::hard_swish_v<V>(y); });
    }
  }

  inline __attribute__((always_inline)) F residual(std::size_t row, int v) const {
    const std::size_t at = (row + row_of(v)) * e.residual_pitch + g.column + lane_of(v);
    const auto from_8 = [&](I value) {
      return V::mul(V::to_float(V::subi(value, V::set1i(e.residual_zero))), V::set1(e.residual_scale));
    };
    switch (e.residual_type) {
      case DType::bf16:
        return N::widen_n(static_cast<const BFloat16*>(e.residual) + at, count(v));
      case DType::f16:
        return N::widen_n(static_cast<const Float16*>(e.residual) + at, count(v));
      case DType::i8:
        return from_8(N::widen_in(static_cast<const std::int8_t*>(e.residual) + at, count(v)));
      case DType::u8:
        return from_8(N::widen_in(static_cast<const std::uint8_t*>(e.residual) + at, count(v)));
      default:
        return load_some<V>(static_cast<const float*>(e.residual) + at, count(v));
    }
  }

  inline __attribute__((always_inline)) void join(F (&x)[kAll], std::size_t row) const {
    if (e.residual != nullptr) {
      if (e.residual_multiply) {
        each(x, [&](F y, int v) { return V::mul(y, residual(row, v)); });
      } else {
        each(x, [&](F y, int v) { return V::add(y, residual(row, v)); });
      }
    }
    if (e.clamp) {
      const F low = V::set1(e.clamp_low), high = V::set1(e.clamp_high);
      each(x, [&](F y, int) { return V::min(high, V::max(low, y)); });
    }
    if (e.row_max == nullptr) return;
#pragma GCC unroll 2
    for (int r = 0; r < kRows; ++r) {
      F most = V::set1(0.0f);
#pragma GCC unroll 8
      for (int v = r * kVectors; v < (r + 1) * kVectors; ++v) {
        if (kFull || count(v) != 0) most = V::max(V::keep_first(math::abs_v<V>(x[v]), count(v)), most);
      }
      const float value = V::largest(most);
      float& so_far = e.row_max[row + static_cast<std::size_t>(r)];
      so_far = value > so_far ? value : so_far;  // no branch: it would be guessed wrong
    }
  }

  inline __attribute__((always_inline)) void store(F (&x)[kAll], std::size_t i) const {
    const std::size_t at = i * g.out_pitch;
    const auto put = [&](auto&& one) {
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) {
        if (kFull || count(v) != 0) one(at + row_of(v) * g.out_pitch + lane_of(v), v);
      }
    };
    switch (e.out_type) {
      case DType::bf16:
        return put([&](std::size_t j, int v) { N::narrow_n(static_cast<BFloat16*>(g.out) + j, x[v], count(v)); });
      case DType::f16:
        return put([&](std::size_t j, int v) { N::narrow_n(static_cast<Float16*>(g.out) + j, x[v], count(v)); });
      case DType::i8:
      case DType::u8: {
        const bool is_signed = e.out_type == DType::i8;
        const F least = V::set1(is_signed ? -128.0f : 0.0f), most = V::set1(is_signed ? 127.0f : 255.0f);
        const F zero = V::set1(static_cast<float>(e.out_zero));
        return put([&](std::size_t j, int v) {
          F y = V::add(V::round_even(quotient(x[v])), zero);
          y = V::select(V::unordered(y, y), V::set1(0.0f), y);
          N::store_8n(static_cast<std::uint8_t*>(g.out) + j, V::to_int(V::min(V::max(y, least), most)), count(v));
        });
      }
      default:
        return put([&](std::size_t j, int v) { store_some<V>(static_cast<float*>(g.out) + j, x[v], count(v)); });
    }
  }

  inline __attribute__((always_inline)) void finish(F (&x)[kAll], std::size_t i) const {
    const std::size_t row = g.row + i;
    scale_and_bias(x, row);
    unary(x);
    join(x, row);
    store(x, i);
  }

  // Rows i to i + kRows of the block; `acc`, these rows without gaps, aligned to vectors.
  __attribute__((noinline)) void run(const float* acc, std::size_t i) const {
    F x[kAll];
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) x[v] = V::load(acc + static_cast<std::size_t>(v) * kLanes);
    finish(x, i);
  }
  __attribute__((noinline)) void run(const std::int32_t* acc, std::size_t i) const {
    I c[kAll];
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) c[v] = V::load(acc + static_cast<std::size_t>(v) * kLanes);
    integer(c, g.row + i);
    if (e.out_type == DType::i32) {
      std::int32_t* out = static_cast<std::int32_t*>(g.out);
#pragma GCC unroll 8
      for (int v = 0; v < kAll; ++v) store_some<V>(out + (i + row_of(v)) * g.out_pitch + lane_of(v), c[v], count(v));
      return;
    }
    F x[kAll];
#pragma GCC unroll 8
    for (int v = 0; v < kAll; ++v) x[v] = V::to_float(c[v]);
    finish(x, i);
  }
};

// block: g.m rows of `pitch` accumulators (float or int32) of NP panels, aligned to vectors.
template <class N, int NP, class Acc>
void finish(const Acc* block, std::size_t pitch, const Args& g) {
  constexpr int kVectors = NP * static_cast<int>(kPanelWidth / N::V::kLanes);
  if (g.n == NP * kPanelWidth) {
    const RowEpilogue<N, kVectors, true> rows(g);
    for (std::size_t i = 0; i < g.m; ++i) rows.run(block + i * pitch, i);
  } else {
    const RowEpilogue<N, kVectors, false> rows(g);
    for (std::size_t i = 0; i < g.m; ++i) rows.run(block + i * pitch, i);
  }
}

// Bytes of an element of the output.
inline std::size_t output_bytes(DType type) {
  return type == DType::f32 || type == DType::i32 ? 4 : type == DType::bf16 || type == DType::f16 ? 2 : 1;
}

// Fetches the lines of the output that a call will write, for writing, while it multiplies: stores that miss would wait
// behind one another at its end. Zen 4, 2026-11,
// s8 by s8 to f32: 512x3072x768 from 84 to 91 % of the peak, 1024^3 from 86 to 92 %. PREFETCHW does nothing on
// processors of x86-64 that do not know it.
inline __attribute__((always_inline)) void prefetch_output(const Args& g, std::size_t rows) {
  if (g.epilogue == nullptr) return;
  const std::size_t size = output_bytes(g.epilogue->out_type);
  const char* row = static_cast<const char*>(g.out);
  for (std::size_t i = 0; i < rows; ++i, row += g.out_pitch * size) {
    for (std::size_t at = 0; at < g.n * size; at += kLineBytes) asm volatile("prefetchw %0" : : "m"(row[at]));
  }
}

// True when the epilogue of an f32 accumulator does nothing, so that the block can go straight to the output.
inline bool is_plain_f32(const Epilogue& e) {
  return !e.scaled && e.bias == nullptr && e.unary == Unary::none && e.residual == nullptr && !e.clamp &&
         e.row_max == nullptr && e.out_type == DType::f32;
}

}  // namespace
}  // namespace intaglio::kernels::gemm
