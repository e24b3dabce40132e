// Weight policies of f32_body.h for weights narrower than f32, widened in registers: two or three cheap instructions on
// other ports than the multiply-adds. Layouts: layout.h. Included by ISA files only.
#pragma once

#include "kernels/gemm/f32_body.h"

namespace intaglio::kernels::gemm {
namespace {

struct F32Activations {
  using A = float;
  template <class V>
  static inline __attribute__((always_inline)) auto broadcast(const A* a) {
    return V::set1(*a);
  }
};

// Lane c of a line holds the bytes of column c.
template <class N>
inline auto lanes_of(const char* line, std::size_t h) {
  return N::V::load(reinterpret_cast<const std::int32_t*>(line) + h * N::V::kLanes);
}

struct Bf16Weights : F32Activations {
  static constexpr std::size_t kGroup = kPairKGroup, kLine = kLineBytes;
  static constexpr bool kScaled = false;
  template <class N, int q>
  static inline __attribute__((always_inline)) auto load(const char* line, std::size_t h, const Scales&) {
    const auto pair = lanes_of<N>(line, h);
    if constexpr (q == 0) return N::V::as_float(N::template shift_left<16>(pair));
    return N::V::as_float(N::V::andi(pair, N::V::set1i(static_cast<std::int32_t>(0xffff0000u))));
  }
};

struct F16Weights : F32Activations {
  static constexpr std::size_t kGroup = 1, kLine = kLineBytes / 2;
  static constexpr bool kScaled = false;
  template <class N, int q>
  static inline __attribute__((always_inline)) auto load(const char* line, std::size_t h, const Scales&) {
    return N::widen_n(reinterpret_cast<const Float16*>(line) + h * N::V::kLanes, N::V::kLanes);
  }
};

// (code - zero) * scale; kZero: a zero per group, else `center` (0 for s8).
template <bool kZero>
struct S8Weights : F32Activations {
  static constexpr std::size_t kGroup = kInt8KGroup, kLine = kLineBytes;
  static constexpr bool kScaled = true;
  template <class N, int q>
  static inline __attribute__((always_inline)) auto load(const char* line, std::size_t h, const Scales& s) {
    using V = typename N::V;
    const auto code = N::template shift_right_signed<24>(N::template shift_left<24 - 8 * q>(lanes_of<N>(line, h)));
    auto x = V::to_float(code);
    if constexpr (kZero) x = V::sub(x, V::load(s.zero + h * V::kLanes));
    return V::mul(x, V::load(s.scale + h * V::kLanes));
  }
};

template <bool kZero>
struct U4Weights : F32Activations {
  static constexpr std::size_t kGroup = kNibbleKGroup, kLine = kLineBytes;
  static constexpr bool kScaled = true;
  template <class N, int q>
  static inline __attribute__((always_inline)) auto load(const char* line, std::size_t h, const Scales& s) {
    using V = typename N::V;
    const auto shifted = N::template shift_right<q % 4 * 8 + q / 4 * 4>(lanes_of<N>(line, h));
    const auto scale = V::load(s.scale + h * V::kLanes);
    if constexpr (V::kLanes == 16) {  // a permutation of 16 floats reads four bits of its index
      if constexpr (kZero) return V::mul(V::sub(N::pick(N::iota(), shifted), V::load(s.zero)), scale);
      return V::mul(N::pick(V::sub(N::iota(), V::set1(s.center)), shifted), scale);
    } else {
      const auto x = V::to_float(V::andi(shifted, V::set1i(15)));
      const auto zero = kZero ? V::load(s.zero + h * V::kLanes) : V::set1(s.center);
      return V::mul(V::sub(x, zero), scale);
    }
  }
};

// One entry a type: the policy by what the table of groups has.
template <class N, template <bool> class W, int MR, int NP>
void scaled_block(const Args& g) {
  g.groups.zero != nullptr ? f32_block<N, W<true>, MR, NP>(g) : f32_block<N, W<false>, MR, NP>(g);
}

}  // namespace
}  // namespace intaglio::kernels::gemm
