// The reference: the formulas of quantize.h, element by element.
#include <cmath>
#include <cstring>
#include <type_traits>

#include "kernels/quantize/parameters.h"
#include "kernels/quantize/table.h"

namespace intaglio::kernels::quantize {
namespace {

float load(const float* p) {
  return *p;
}
float load(const std::uint16_t* p) {
  const std::uint32_t bits = std::uint32_t{*p} << 16;
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

// Sums below 2^24 are exact in f32; what is larger saturates.
template <class T>
T narrow(float quotient, std::int32_t zero, std::int32_t nan) {
  constexpr float kLeast = std::is_signed_v<T> ? -128.0f : 0.0f;
  constexpr float kMost = std::is_signed_v<T> ? 127.0f : 255.0f;
  if (quotient != quotient) return static_cast<T>(nan);
  const float value = std::nearbyint(quotient) + static_cast<float>(zero);
  return static_cast<T>(static_cast<std::int32_t>(value < kLeast ? kLeast : value > kMost ? kMost : value));
}

template <class T>
void quantize(const Args& g) {
  const auto* x = static_cast<const float*>(g.source);
  auto* y = static_cast<T*>(g.out);
  for (std::size_t i = 0; i < g.count; ++i) {
    const float scale = g.scales != nullptr ? g.scales[i] : g.scale;
    y[i] = narrow<T>(x[i] / scale, g.zeros != nullptr ? static_cast<const T*>(g.zeros)[i] : g.zero, 0);
  }
}

template <class T>
void dequantize(const Args& g) {
  const auto* x = static_cast<const T*>(g.source);
  auto* y = static_cast<float*>(g.out);
  for (std::size_t i = 0; i < g.count; ++i) {
    const std::int32_t zero = g.zeros != nullptr ? static_cast<const T*>(g.zeros)[i] : g.zero;
    y[i] = static_cast<float>(static_cast<std::int32_t>(x[i]) - zero) * (g.scales != nullptr ? g.scales[i] : g.scale);
  }
}

template <class S>
void find_extremes(const void* source, std::size_t count, float* out) {
  float low = 0.0f, high = 0.0f;
  for (std::size_t i = 0; i < count; ++i) {
    const float x = load(static_cast<const S*>(source) + i);
    low = x < low ? x : low;
    high = x > high ? x : high;
  }
  out[0] = low;
  out[1] = high;
}

template <class T>
void sum_groups(const RowArgs& g, const T* y) {
  const std::size_t step = g.sum_group == 0 ? g.count : g.sum_group;
  if (g.sum_group == 0) *g.sums = 0;
  for (std::size_t i = 0; i < g.count; ++i) {
    std::int32_t& sum = g.sums[i / step];
    const std::uint32_t before = i % step == 0 ? 0 : static_cast<std::uint32_t>(sum);
    sum = static_cast<std::int32_t>(before + static_cast<std::uint32_t>(std::int32_t{y[i]}));
  }
}

template <class S, class T>
void row_as(const RowArgs& g, const Parameters& p) {
  const bool multiply = g.by_reciprocal && g.rule == Rule::symmetric;
  const float inverse = 1.0f / p.scale;
  auto* y = reinterpret_cast<T*>(g.out);
  for (std::size_t i = 0; i < g.count; ++i) {
    const float x = load(static_cast<const S*>(g.source) + i);
    y[i] = narrow<T>(multiply ? x * inverse : x / p.scale, p.zero, p.nan);
  }
  if (g.sums != nullptr) sum_groups(g, y);
}

template <class S>
void row(const RowArgs& g) {
  float found[2];
  if (g.extremes == nullptr) find_extremes<S>(g.source, g.count, found);
  const float* extremes = g.extremes != nullptr ? g.extremes : found;
  const Parameters p = parameters_of(g, extremes[0], extremes[1]);
  if (g.scale != nullptr) *g.scale = p.scale;
  if (g.zero != nullptr) *g.zero = p.zero;
  if (g.rule == Rule::symmetric && !g.plus128)
    row_as<S, std::int8_t>(g, p);
  else
    row_as<S, std::uint8_t>(g, p);
}

}  // namespace

void extremes_f32_1x1_1x1_scalar(const Args& args) {
  find_extremes<float>(args.source, args.count, static_cast<float*>(args.out));
}
void extremes_bf16_1x1_1x1_scalar(const Args& args) {
  find_extremes<std::uint16_t>(args.source, args.count, static_cast<float*>(args.out));
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
void row_f32i8_1x1_1x1_scalar(const RowArgs& args) {
  row<float>(args);
}
void row_bf16i8_1x1_1x1_scalar(const RowArgs& args) {
  row<std::uint16_t>(args);
}

}  // namespace intaglio::kernels::quantize
