// Narrow storage types on SSE4.2, lane by lane; the contract is in narrow512.h. Included by ISA files only.
#pragma once

#include "kernels/math/scalar_half.h"
#include "kernels/math/v128.h"

namespace intaglio::kernels::math {
namespace {

struct Narrow128 {
  using V = V128;
  using F = V::F;
  using I = V::I;

  template <class T>
  static F widen_n(const T* p, std::size_t n) {
    float lanes[V::kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = widened(p[i]);
    return V::load(lanes);
  }
  template <class T>
  static I widen_in(const T* p, std::size_t n) {
    std::int32_t lanes[V::kLanes] = {};
    for (std::size_t i = 0; i < n; ++i) lanes[i] = p[i];
    return V::load(lanes);
  }
  static void narrow_n(Float16* p, F x, std::size_t n) {
    float lanes[V::kLanes];
    V::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) p[i] = narrowed_f16(lanes[i]);
  }
  static void narrow_n(BFloat16* p, F x, std::size_t n) {
    float lanes[V::kLanes];
    V::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) p[i] = narrowed_bf16(lanes[i]);
  }
  static void store_8n(void* p, I x, std::size_t n) {
    std::int32_t lanes[V::kLanes];
    V::store(lanes, x);
    for (std::size_t i = 0; i < n; ++i) static_cast<unsigned char*>(p)[i] = static_cast<unsigned char>(lanes[i]);
  }
};

}  // namespace
}  // namespace intaglio::kernels::math
