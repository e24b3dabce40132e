// A random problem for any row of the table: operands of its types between guard pages, an epilogue of its own, and
// what the contract of gemm.h says of each output in double, with the error that rounding may leave.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "kernels/gemm/gemm_test_util.h"
#include "kernels/gemm/layout.h"
#include "kernels/gemm/pack.h"
#include "kernels/gemm/table.h"
#include "kernels/math/scalar_half.h"

namespace intaglio::kernels::gemm {

struct Case {
  std::size_t m, n, k;
  std::size_t pitch_extra;  // added to every pitch
  std::size_t splits;       // K ranges
  Edge edge;
  std::size_t group = 32;  // of k, where the types have groups
};

inline double reference_unary(Unary unary, double x) {
  switch (unary) {
    case Unary::none:
      return x;
    case Unary::relu:
      return x < 0 ? 0 : x;
    case Unary::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case Unary::gelu_tanh:
      return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case Unary::silu:
      return x / (1 + std::exp(-x));
    case Unary::sigmoid:
      return 1 / (1 + std::exp(-x));
    case Unary::tanh:
      return std::tanh(x);
    case Unary::hard_swish:
      return x * std::min(1.0, std::max(0.0, x / 6 + 0.5));
  }
  return x;
}
inline constexpr int kUnaryCount = static_cast<int>(Unary::hard_swish) + 1;

inline std::size_t bytes_of(DType type) {
  switch (type) {
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::f16:
    case DType::bf16:
      return 2;
    default:
      return 1;
  }
}
// Element `at` of an array of one of the contract's types; and its inverse, rounding.
inline double element_at(DType type, const unsigned char* data, std::size_t at) {
  const unsigned char* p = data + at * bytes_of(type);
  const auto as = [&]<class T>(T value) {
    std::memcpy(&value, p, sizeof(value));
    return value;
  };
  switch (type) {
    case DType::f32:
      return static_cast<double>(as(0.0f));
    case DType::i32:
      return as(std::int32_t{0});
    case DType::f16:
      return static_cast<double>(math::widened(as(Float16{})));
    case DType::bf16:
      return static_cast<double>(math::widened(as(BFloat16{})));
    case DType::i8:
      return as(std::int8_t{0});
    default:
      return *p;
  }
}

inline constexpr double kEps = std::numeric_limits<float>::epsilon();

// A as the row's types have it: floats of about 1 in size, integers with the extremes common.
struct Activations {
  Activations(Types types, const Case& c)
      : type(type_of(types)), pitch(c.k + c.pitch_extra), bytes(((c.m - 1) * pitch + c.k) * bytes_of(type), c.edge) {
    const float nan = std::numeric_limits<float>::quiet_NaN();  // pads of float A: poison
    for (std::size_t i = 0; i * bytes_of(type) < bytes.size(); ++i) {
      const float value = i % pitch < c.k ? random_float() : nan;
      const BFloat16 b = math::narrowed_bf16(value);
      const Float16 h = math::narrowed_f16(static_cast<double>(value));
      const std::uint8_t byte = random_byte();
      const void* from = type == DType::f32    ? static_cast<const void*>(&value)
                         : type == DType::bf16 ? static_cast<const void*>(&b)
                         : type == DType::f16  ? static_cast<const void*>(&h)
                                               : static_cast<const void*>(&byte);
      std::memcpy(bytes.data() + i * bytes_of(type), from, bytes_of(type));
    }
  }
  static DType type_of(Types types) {
    switch (types) {
      case Types::bf16:
        return DType::bf16;
      case Types::f16:
        return DType::f16;
      case Types::u8s8i32:
        return DType::u8;
      case Types::s8s8i32:
      case Types::s8w4:
        return DType::i8;
      default:
        return DType::f32;
    }
  }
  double at(std::size_t i, std::size_t k) const { return element_at(type, bytes.data(), i * pitch + k); }
  DType type;
  std::size_t pitch;
  Guarded<unsigned char> bytes;
};

// B as packed, and each weight as the contract counts it.
struct Weights {
  Weights(Types types, const Case& c, bool u8_source, bool zeros)
      : k(c.k),
        n(c.n),
        group(facts_of(types).grouped ? c.group : 0),
        packed(packed_bytes(facts_of(types).layout, c.k, c.n), c.edge),
        column_sum(c.n, c.edge),
        scale(group_elements(c.k, c.n, group), Edge::back),
        zero(group_elements(c.k, c.n, group), Edge::back),
        value(c.k * c.n),
        has_zero(zeros) {
    const bool nibbles = facts_of(types).layout == Layout::panels16x8_u4;
    fill_groups(nibbles);
    std::vector<std::uint8_t> raw(c.k * c.n);
    std::vector<float> floats(c.k * c.n);
    for (std::size_t i = 0; i < raw.size(); ++i) {
      raw[i] = nibbles ? random_byte() & 15 : random_byte();
      floats[i] = random_float();
    }
    const std::size_t panels = panel_count(c.n);
    const PackSource source{nullptr, c.k, c.n, c.n, 1};
    const auto with = [&](const void* data) {
      PackSource s = source;
      s.data = data;
      return s;
    };
    switch (facts_of(types).layout) {
      case Layout::panels16_f32:
        pack_f32(with(floats.data()), 0, panels, reinterpret_cast<float*>(packed.data()));
        break;
      case Layout::panels16_f16:
        for (float& x : floats) x = math::widened(math::narrowed_f16(static_cast<double>(x)));
        pack_f16(with(floats.data()), DType::f32, 0, panels, reinterpret_cast<Float16*>(packed.data()));
        break;
      case Layout::panels16x2_bf16:
        for (float& x : floats) x = math::widened(math::narrowed_bf16(x));
        pack_bf16(with(floats.data()), DType::f32, 0, panels, reinterpret_cast<BFloat16*>(packed.data()));
        break;
      case Layout::panels16x4_s8:
        pack_s8(with(raw.data()), u8_source, 0, panels, reinterpret_cast<std::int8_t*>(packed.data()),
                column_sum.data());
        break;
      case Layout::panels16x8_u4: {
        std::vector<std::uint8_t> nibble(raw.size() / 2 + 1);
        for (std::size_t i = 0; i < raw.size(); ++i) {
          nibble[i / 2] = static_cast<std::uint8_t>(nibble[i / 2] | raw[i] << (i % 2 * 4));
        }
        pack_u4(with(nibble.data()), 0, panels, packed.data());
        break;
      }
    }
    const bool floating = !facts_of(types).integer && !facts_of(types).grouped;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      const double code = nibbles ? raw[i] : u8_source ? raw[i] - 128 : static_cast<std::int8_t>(raw[i]);
      value[i] = floating ? static_cast<double>(floats[i]) : code;
    }
  }
  void fill_groups(bool nibbles) {
    center = nibbles ? 8.0f : 0.0f;
    for (std::size_t i = 0; i < scale.size(); ++i) {
      scale[i] = random_float(0.01f, 0.2f);
      zero[i] = static_cast<float>(nibbles ? random_size(0, 15) : random_size(0, 255)) - (nibbles ? 0.0f : 128.0f);
    }
  }
  std::size_t at_group(std::size_t kk, std::size_t j) const {
    return j / kPanelWidth * group_count(k, group) * kPanelWidth + kk / group * kPanelWidth + j % kPanelWidth;
  }
  // The weight of float types, of grouped ones with scale and zero; of integer types the packed code.
  double at(std::size_t kk, std::size_t j) const {
    const double code = value[kk * n + j];
    if (group == 0) return code;
    const std::size_t g = at_group(kk, j);
    return (code - static_cast<double>(has_zero ? zero[g] : center)) * static_cast<double>(scale[g]);
  }
  std::size_t k, n, group;
  Guarded<unsigned char> packed;
  Guarded<std::int32_t> column_sum;
  Guarded<float> scale, zero;
  float center = 0;
  std::vector<double> value;  // [k][n]
  bool has_zero;
};

// What random cases vary in the float stages; vectors are as long as the problem, to the element.
struct FloatEpilogue {
  FloatEpilogue(const Case& c, std::size_t choice)
      : row_scale(c.m, c.edge),
        column_scale(c.n, c.edge),
        bias(c.n, c.edge),
        row_max(c.m, c.edge),
        residual_pitch(c.n + c.pitch_extra),
        residual(((c.m - 1) * residual_pitch + c.n) * 4, c.edge) {
    for (auto* values : {&row_scale, &column_scale, &bias}) {
      for (std::size_t i = 0; i < values->size(); ++i) (*values)[i] = random_float();
    }
    for (std::size_t i = 0; i < row_max.size(); ++i) row_max[i] = 0;
    spec.unary = static_cast<Unary>(choice % kUnaryCount);
    spec.scaled = choice % 3 != 0;
    spec.scale = 0.37f;
    if (choice % 2 == 0) spec.row_scale = row_scale.data();
    if (choice % 5 < 3) spec.column_scale = column_scale.data();
    if (choice % 4 != 0) spec.bias = bias.data();
    constexpr DType kResiduals[] = {DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8};
    spec.residual_type = kResiduals[choice / 3 % 5];
    if (choice % 3 == 1) add_residual(c);
    spec.residual_multiply = choice % 7 > 3;
    spec.clamp = choice % 5 == 0;
    spec.clamp_low = -0.25f;
    spec.clamp_high = 0.75f;
    constexpr DType kOutputs[] = {DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8};
    spec.out_type = choice % 2 == 0 ? DType::f32 : kOutputs[choice / 2 % 5];
    spec.out_scale = choice % 4 == 1 ? 0.25f : 0.0371f;
    spec.out_zero = spec.out_type == DType::u8 ? 117 : spec.out_type == DType::i8 ? -9 : 0;
    if (choice % 3 != 1) spec.row_max = row_max.data();
  }
  void add_residual(const Case& c) {
    spec.residual = residual.data() + (residual.size() - residual.size() / 4 * bytes_of(spec.residual_type));
    auto* to = static_cast<unsigned char*>(const_cast<void*>(spec.residual));
    for (std::size_t i = 0; i < residual.size() / 4; ++i) {
      const float value = random_float();
      const BFloat16 b = math::narrowed_bf16(value);
      const Float16 h = math::narrowed_f16(static_cast<double>(value));
      const std::uint8_t byte = random_byte();
      const void* from = spec.residual_type == DType::f32    ? static_cast<const void*>(&value)
                         : spec.residual_type == DType::bf16 ? static_cast<const void*>(&b)
                         : spec.residual_type == DType::f16  ? static_cast<const void*>(&h)
                                                             : static_cast<const void*>(&byte);
      std::memcpy(to + i * bytes_of(spec.residual_type), from, bytes_of(spec.residual_type));
    }
    spec.residual_pitch = residual_pitch;
    spec.residual_scale = 0.031f;
    spec.residual_zero = c.k % 2 == 0 ? 100 : -3;
  }
  double scale(std::size_t i, std::size_t j) const {
    if (!spec.scaled) return 1;
    const float by_row = spec.row_scale != nullptr ? row_scale[i] : spec.scale;
    return static_cast<double>(spec.column_scale != nullptr ? by_row * column_scale[j] : by_row);
  }
  double residual_at(std::size_t i, std::size_t j) const {
    const double raw =
        element_at(spec.residual_type, static_cast<const unsigned char*>(spec.residual), i * residual_pitch + j);
    if (bytes_of(spec.residual_type) != 1) return raw;
    return (raw - spec.residual_zero) * static_cast<double>(spec.residual_scale);
  }
  // The value before conversion to the output's type, of an accumulator whose error is at most `error`, in double; adds
  // what rounding may do to `error`.
  double apply(double acc, std::size_t i, std::size_t j, double& error) const {
    double x = acc * scale(i, j);
    error = error * std::abs(scale(i, j)) + 2 * kEps * std::abs(x);
    if (spec.bias != nullptr) x += static_cast<double>(bias[j]);
    error += kEps * std::abs(x);
    const double before = x;
    x = reference_unary(spec.unary, x);
    if (spec.unary > Unary::relu) error = 1.6 * error + 4 * kEps * std::max(1.0, std::abs(before));
    if (spec.residual != nullptr) {
      const double r = residual_at(i, j);
      error = spec.residual_multiply ? error * std::abs(r) : error;
      x = spec.residual_multiply ? x * r : x + r;
      error += kEps * (std::abs(x) + std::abs(r));
    }
    return spec.clamp ? std::min(std::max(x, -0.25), 0.75) : x;
  }
  Guarded<float> row_scale, column_scale, bias, row_max;
  std::size_t residual_pitch;
  Guarded<unsigned char> residual;
  Epilogue spec;
};

}  // namespace intaglio::kernels::gemm
