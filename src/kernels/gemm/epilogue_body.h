// From a block of accumulators in memory (a scratch in L1) to the output: the Epilogue of gemm.h over a vector policy
// V. The block was just stored by the micro-kernel; a store and a load per vector cost about 2 cycles against K FMAs.
// V is a vector policy of kernels/math. Included by ISA files only.
#pragma once

#include "kernels/gemm/gemm.h"
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

template <class V, Unary U>
inline typename V::F unary_v(typename V::F x) {
  if constexpr (U == Unary::relu) return V::max(V::set1(0.0f), x);
  if constexpr (U == Unary::gelu_erf) return math::gelu_erf_v<V>(x);
  if constexpr (U == Unary::gelu_tanh) return math::gelu_tanh_v<V>(x);
  if constexpr (U == Unary::silu) return math::silu_v<V>(x);
  if constexpr (U == Unary::sigmoid) return math::sigmoid_v<V>(x);
  if constexpr (U == Unary::tanh) return math::tanh_v<V>(x);
  return x;
}

// One vector of row i (of the problem), columns j and on, after the integer part.
template <class V, Unary U>
inline typename V::F finish_f32(typename V::F x, const Epilogue& e, std::size_t i, std::size_t j, std::size_t count) {
  using F = typename V::F;
  if (e.scaled) {
    F s = V::set1(e.row_scale != nullptr ? e.row_scale[i] : e.scale);
    if (e.column_scale != nullptr) s = V::mul(s, load_some<V>(e.column_scale + j, count));
    x = V::mul(x, s);
  }
  if (e.bias != nullptr) x = V::add(x, load_some<V>(e.bias + j, count));
  x = unary_v<V, U>(x);
  if (e.residual != nullptr) {
    x = V::add(x, load_some<V>(static_cast<const float*>(e.residual) + i * e.residual_pitch + j, count));
  }
  if (e.clamp) x = V::min(V::set1(e.clamp_high), V::max(V::set1(e.clamp_low), x));
  return x;
}

template <class V>
inline typename V::I correct_i32(typename V::I c, const Epilogue& e, std::size_t i, std::size_t j, std::size_t count) {
  if (e.column_sum != nullptr) {
    const auto zero = V::set1i(e.row_zero != nullptr ? e.row_zero[i] : e.zero);
    c = V::subi(c, V::muli(zero, load_some<V>(e.column_sum + j, count)));
  }
  if (e.column_zero != nullptr) {
    c = V::subi(c, V::muli(V::set1i(e.row_term[i]), load_some<V>(e.column_zero + j, count)));
  }
  return c;
}

// block: m rows of `pitch` accumulators (float or int32), aligned to vectors.
template <class V, Unary U, class Acc>
__attribute__((noinline)) void finish_rows(const Acc* block, std::size_t pitch, const Args& g) {
  const Epilogue& e = *g.epilogue;
  for (std::size_t i = 0; i < g.m; ++i) {
    for (std::size_t j = 0; j < g.n; j += V::kLanes) {
      const std::size_t count = g.n - j;
      typename V::F x;
      if constexpr (static_cast<Acc>(0.5f) == 0) {  // int32
        const auto c = correct_i32<V>(V::load(block + i * pitch + j), e, g.row + i, g.column + j, count);
        if (e.out_type == DType::i32) {
          store_some<V>(static_cast<std::int32_t*>(g.out) + i * g.out_pitch + j, c, count);
          continue;
        }
        x = V::to_float(c);
      } else {
        x = V::load(block + i * pitch + j);
      }
      x = finish_f32<V, U>(x, e, g.row + i, g.column + j, count);
      store_some<V>(static_cast<float*>(g.out) + i * g.out_pitch + j, x, count);
    }
  }
}

template <class V, class Acc>
void finish(const Acc* block, std::size_t pitch, const Args& g) {
  switch (g.epilogue->unary) {
    case Unary::none:
      return finish_rows<V, Unary::none>(block, pitch, g);
    case Unary::relu:
      return finish_rows<V, Unary::relu>(block, pitch, g);
    case Unary::gelu_erf:
      return finish_rows<V, Unary::gelu_erf>(block, pitch, g);
    case Unary::gelu_tanh:
      return finish_rows<V, Unary::gelu_tanh>(block, pitch, g);
    case Unary::silu:
      return finish_rows<V, Unary::silu>(block, pitch, g);
    case Unary::sigmoid:
      return finish_rows<V, Unary::sigmoid>(block, pitch, g);
    case Unary::tanh:
      return finish_rows<V, Unary::tanh>(block, pitch, g);
  }
}

// True when the epilogue of an f32 accumulator does nothing, so that the block can go straight to the output.
inline bool is_plain_f32(const Epilogue& e) {
  return !e.scaled && e.bias == nullptr && e.unary == Unary::none && e.residual == nullptr && !e.clamp;
}

}  // namespace
}  // namespace intaglio::kernels::gemm
