// The reference: the formulas of quantize.h, element by element.
#include <cmath>
#include <type_traits>

#include "kernels/quantize/table.h"

namespace intaglio::kernels::quantize {
namespace {

template <class T>
void quantize(const Args& g) {
  constexpr float kLeast = std::is_signed_v<T> ? -128.0f : 0.0f;
  constexpr float kMost = std::is_signed_v<T> ? 127.0f : 255.0f;
  const auto* x = static_cast<const float*>(g.source);
  auto* y = static_cast<T*>(g.out);
  for (std::size_t i = 0; i < g.count; ++i) {
    // Sums below 2^24 are exact in f32; what is larger saturates.
    float value = std::nearbyint(x[i] / g.scale) + static_cast<float>(g.zero);
    if (value != value) value = 0.0f;
    value = value < kLeast ? kLeast : value > kMost ? kMost : value;
    y[i] = static_cast<T>(static_cast<std::int32_t>(value));
  }
}

template <class T>
void dequantize(const Args& g) {
  const auto* x = static_cast<const T*>(g.source);
  auto* y = static_cast<float*>(g.out);
  for (std::size_t i = 0; i < g.count; ++i)
    y[i] = static_cast<float>(static_cast<std::int32_t>(x[i]) - g.zero) * g.scale;
}

}  // namespace

void extremes_f32_1x1_1x1_scalar(const Args& args) {
  const auto* x = static_cast<const float*>(args.source);
  float low = 0.0f, high = 0.0f;
  for (std::size_t i = 0; i < args.count; ++i) {
    low = x[i] < low ? x[i] : low;
    high = x[i] > high ? x[i] : high;
  }
  auto* out = static_cast<float*>(args.out);
  out[0] = low;
  out[1] = high;
}
void quantize_f32u8_1x1_1x1_scalar(const Args& args) {
  quantize<std::uint8_t>(args);
}
void quantize_f32s8_1x1_1x1_scalar(const Args& args) {
  quantize<std::int8_t>(args);
}
void dequantize_u8f32_1x1_1x1_scalar(const Args& args) {
  dequantize<std::uint8_t>(args);
}
void dequantize_s8f32_1x1_1x1_scalar(const Args& args) {
  dequantize<std::int8_t>(args);
}

}  // namespace intaglio::kernels::quantize
