// What is measured: one row per kind of linear. A row says what our side is asked to do in one go, and so what a peer
// has to do as well, in one go or in several.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "bench/gemm/shapes.h"
#include "ops/linear.h"

namespace intaglio::bench {

enum class Scale : std::uint8_t { none, tensor, row };  // of 8-bit inputs
enum class Range : std::uint8_t {
  all,      // every shape
  small_m,  // M <= 32: where such linears are used, decoding
  held,     // the held shapes only
};

struct Scenario {
  const char* types;     // "s8xs8", begins with the type that the weights or the products have
  const char* epilogue;  // what follows the product
  DType input, weight, output;
  std::int64_t weight_bits = 0, group = 0;
  ops::Dynamic dynamic = ops::Dynamic::none;
  Scale scale = Scale::none;
  bool input_zero = false;
  ops::Activation activation = ops::Activation::none;
  bool row_max = false;  // an 8-bit output with the absolute maxima of its rows
  Range range = Range::all;

  // The first type: "s8", "u8", "bf16", "f16", "f32", "w8", "w4".
  std::string_view kind() const;
  std::string name() const;  // "s8xs8 | scales, bias"
  bool codes() const { return weight == DType::i8 || weight == DType::u8; }
};

std::span<const Scenario> scenarios();
// "s8, u8, ...": the kinds, for messages.
std::string all_kinds();

// What our side is asked for. 8-bit outputs have kOutputScale.
ops::LinearDescriptor descriptor_of(const Scenario& scenario, std::int64_t n, std::int64_t k);
// Sums are made to have a standard deviation near 1 (see problem.cc), so 4 of them fill the 8 bits.
inline constexpr double kOutputScale = 4.0 / 127.0;

}  // namespace intaglio::bench
