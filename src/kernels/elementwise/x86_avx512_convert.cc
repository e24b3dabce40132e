// Conversions on AVX-512.
#include "kernels/elementwise/convert_body.h"
#include "kernels/math/narrow512.h"

namespace intaglio::kernels::elementwise {
namespace {

struct Convert512 : math::Narrow512 {
  using math::Narrow512::narrow_n;
  using math::Narrow512::widen_n;

  static F widen_n(const std::int32_t* p, std::size_t n) {
    return V::to_float(n == V::kLanes ? V::load(p) : V::load_n(p, n));
  }
  static F widen_n(const std::uint8_t* p, std::size_t n) { return V::to_float(widen_in(p, n)); }
  static F widen_n(const std::int8_t* p, std::size_t n) { return V::to_float(widen_in(p, n)); }
  static F widen_n(const Truth* p, std::size_t n) {
    return _mm512_maskz_mov_ps(V::load_mask_n(&p->byte, n), V::set1(1.0f));
  }
  static void narrow_n(std::int32_t* p, F x, std::size_t n) { V::store_n(p, saturated_i32<V>(x), n); }
  static void narrow_n(Truth* p, F x, std::size_t n) { V::store_mask_n(&p->byte, V::ne(x, V::set1(0.0f)), n); }
};

}  // namespace

void convert_any_1x16_1x1_avx512(const Args& args) {
  convert<Convert512>(args);
}

}  // namespace intaglio::kernels::elementwise
