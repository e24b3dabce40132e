// The f32 functions over a vector policy V. Tails run the same vector code on masked loads and stores, so the bits of
// an element do not depend on where it sits. Included by ISA files only.
#pragma once

#include "kernels/elementwise/elementwise.h"
#include "kernels/math/functions.h"

namespace intaglio::kernels::elementwise {
namespace {

// The elements of one source: a vector of them, or one for all lanes.
template <class V, bool kUniform>
struct Reader {
  const float* data;
  typename V::F all;
  explicit Reader(const void* p) : data(static_cast<const float*>(p)), all(V::set1(kUniform ? *data : 0.0f)) {}
  typename V::F full(std::size_t i) const { return kUniform ? all : V::load(data + i); }
  typename V::F some(std::size_t i, std::size_t n) const { return kUniform ? all : V::load_n(data + i, n); }
};

template <class V, class Fn>
void map1(const Args& g, Fn fn) {
  const Reader<V, false> x(g.source[0]);
  float* out = static_cast<float*>(g.out);
  std::size_t i = 0;
  if (g.uniform[0]) {
    const typename V::F all = fn(V::set1(*x.data));
    for (; i + V::kLanes <= g.count; i += V::kLanes) V::store(out + i, all);
    if (i < g.count) V::store_n(out + i, all, g.count - i);
    return;
  }
  for (; i + V::kLanes <= g.count; i += V::kLanes) V::store(out + i, fn(x.full(i)));
  if (i < g.count) V::store_n(out + i, fn(x.some(i, g.count - i)), g.count - i);
}

template <class V, bool kUniformA, bool kUniformB, class Fn>
void map2_of(const Args& g, Fn fn) {
  const Reader<V, kUniformA> a(g.source[0]);
  const Reader<V, kUniformB> b(g.source[1]);
  float* out = static_cast<float*>(g.out);
  std::size_t i = 0;
  for (; i + V::kLanes <= g.count; i += V::kLanes) V::store(out + i, fn(a.full(i), b.full(i)));
  const std::size_t n = g.count - i;
  if (n != 0) V::store_n(out + i, fn(a.some(i, n), b.some(i, n)), n);
}
template <class V, class Fn>
void map2(const Args& g, Fn fn) {
  if (g.uniform[0] && g.uniform[1]) return map2_of<V, true, true>(g, fn);
  if (g.uniform[0]) return map2_of<V, true, false>(g, fn);
  if (g.uniform[1]) return map2_of<V, false, true>(g, fn);
  map2_of<V, false, false>(g, fn);
}

template <class V, bool kUniformA, bool kUniformB, class Fn>
void test2_of(const Args& g, Fn fn) {
  const Reader<V, kUniformA> a(g.source[0]);
  const Reader<V, kUniformB> b(g.source[1]);
  auto* out = static_cast<std::uint8_t*>(g.out);
  std::size_t i = 0;
  for (; i + V::kLanes <= g.count; i += V::kLanes) V::store_mask_n(out + i, fn(a.full(i), b.full(i)), V::kLanes);
  const std::size_t n = g.count - i;
  if (n != 0) V::store_mask_n(out + i, fn(a.some(i, n), b.some(i, n)), n);
}
template <class V, class Fn>
void test2(const Args& g, Fn fn) {
  if (g.uniform[0] && g.uniform[1]) return test2_of<V, true, true>(g, fn);
  if (g.uniform[0]) return test2_of<V, true, false>(g, fn);
  if (g.uniform[1]) return test2_of<V, false, true>(g, fn);
  test2_of<V, false, false>(g, fn);
}
template <class V, class Fn>
void test1(const Args& g, Fn fn) {
  Args both = g;
  both.source[1] = g.source[0];
  both.uniform[1] = g.uniform[0];
  test2<V>(both, [fn](typename V::F x, typename V::F) { return fn(x); });
}

template <class V, bool kUniformA, bool kUniformB>
void where_of(const Args& g) {
  const auto* condition = static_cast<const std::uint8_t*>(g.source[0]);
  const Reader<V, kUniformA> a(g.source[1]);
  const Reader<V, kUniformB> b(g.source[2]);
  float* out = static_cast<float*>(g.out);
  std::size_t i = 0;
  for (; i + V::kLanes <= g.count; i += V::kLanes) {
    V::store(out + i, V::select(V::load_mask_n(condition + i, V::kLanes), a.full(i), b.full(i)));
  }
  const std::size_t n = g.count - i;
  if (n != 0) V::store_n(out + i, V::select(V::load_mask_n(condition + i, n), a.some(i, n), b.some(i, n)), n);
}
template <class V>
void where(const Args& g) {
  if (g.uniform[0]) {  // all from one side
    Args copy = g;
    const int side = *static_cast<const std::uint8_t*>(g.source[0]) != 0 ? 1 : 2;
    copy.source[0] = copy.source[1] = g.source[side];
    copy.uniform[0] = copy.uniform[1] = g.uniform[side];
    return map2<V>(copy, [](typename V::F x, typename V::F) { return x; });
  }
  if (g.uniform[1] && g.uniform[2]) return where_of<V, true, true>(g);
  if (g.uniform[1]) return where_of<V, true, false>(g);
  if (g.uniform[2]) return where_of<V, false, true>(g);
  where_of<V, false, false>(g);
}

template <class V>
void apply_unary(const Args& g) {
  using F = typename V::F;
  const F zero = V::set1(0.0f);
  const F one = V::set1(1.0f);
  const F alpha = V::set1(static_cast<float>(g.alpha));
  const F beta = V::set1(static_cast<float>(g.beta));
  switch (g.op) {
    case Op::neg:
      return map1<V>(g, [](F x) { return V::xor_bits(x, math::sign_bit<V>()); });
    case Op::abs:
      return map1<V>(g, [](F x) { return math::abs_v<V>(x); });
    case Op::sign:
      return map1<V>(g, [=](F x) {
        const F magnitude = V::select(V::eq(x, zero), zero, math::copysign_v<V>(one, x));
        return V::select(V::unordered(x, x), x, magnitude);
      });
    case Op::exp:
      return map1<V>(g, [](F x) { return math::exp_v<V>(x); });
    case Op::log:
      return map1<V>(g, [](F x) { return math::log_v<V>(x); });
    case Op::sqrt:
      return map1<V>(g, [](F x) { return V::sqrt(x); });
    case Op::rsqrt:
      return map1<V>(g, [=](F x) { return V::div(one, V::sqrt(x)); });
    case Op::reciprocal:
      return map1<V>(g, [=](F x) { return V::div(one, x); });
    case Op::erf:
      return map1<V>(g, [](F x) { return math::erf_v<V>(x); });
    case Op::tanh:
      return map1<V>(g, [](F x) { return math::tanh_v<V>(x); });
    case Op::floor:
      return map1<V>(g, [](F x) { return V::floor(x); });
    case Op::ceil:
      return map1<V>(g, [](F x) { return V::ceil(x); });
    case Op::round:
      return map1<V>(g, [](F x) { return V::round_even(x); });
    case Op::sigmoid:
      return map1<V>(g, [](F x) { return math::sigmoid_v<V>(x); });
    case Op::relu:
      return map1<V>(g, [=](F x) { return V::max(zero, x); });
    case Op::gelu:
      return map1<V>(g, [](F x) { return math::gelu_erf_v<V>(x); });
    case Op::gelu_tanh:
      return map1<V>(g, [](F x) { return math::gelu_tanh_v<V>(x); });
    case Op::silu:
      return map1<V>(g, [](F x) { return math::silu_v<V>(x); });
    case Op::hard_swish:
      return map1<V>(g, [](F x) { return math::hard_swish_v<V>(x); });
    case Op::hard_sigmoid:
      return map1<V>(g, [=](F x) { return V::min(one, V::max(zero, V::add(V::mul(alpha, x), beta))); });
    case Op::clamp:
      return map1<V>(g, [=](F x) { return V::min(beta, V::max(alpha, x)); });
    case Op::isnan:
      return test1<V>(g, [](F x) { return V::unordered(x, x); });
    case Op::isinf:
      return test1<V>(g, [](F x) { return V::eq(math::abs_v<V>(x), V::set1(__builtin_inff())); });
    default:
      return;
  }
}

template <class V>
void apply_f32(const Args& g) {
  using F = typename V::F;
  switch (g.op) {
    case Op::add:
      return map2<V>(g, [](F a, F b) { return V::add(a, b); });
    case Op::sub:
      return map2<V>(g, [](F a, F b) { return V::sub(a, b); });
    case Op::mul:
      return map2<V>(g, [](F a, F b) { return V::mul(a, b); });
    case Op::div:
      return map2<V>(g, [](F a, F b) { return V::div(a, b); });
    case Op::minimum:
      return map2<V>(g, [](F a, F b) { return V::select(V::unordered(a, b), V::add(a, b), V::min(a, b)); });
    case Op::maximum:
      return map2<V>(g, [](F a, F b) { return V::select(V::unordered(a, b), V::add(a, b), V::max(a, b)); });
    case Op::eq:
      return test2<V>(g, [](F a, F b) { return V::eq(a, b); });
    case Op::ne:
      return test2<V>(g, [](F a, F b) { return V::ne(a, b); });
    case Op::lt:
      return test2<V>(g, [](F a, F b) { return V::lt(a, b); });
    case Op::le:
      return test2<V>(g, [](F a, F b) { return V::le(a, b); });
    case Op::gt:
      return test2<V>(g, [](F a, F b) { return V::lt(b, a); });
    case Op::ge:
      return test2<V>(g, [](F a, F b) { return V::le(b, a); });
    case Op::where:
      return where<V>(g);
    default:
      return apply_unary<V>(g);
  }
}

}  // namespace
}  // namespace intaglio::kernels::elementwise
