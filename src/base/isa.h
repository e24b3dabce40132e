// Names of ISA levels and sets of them. Detection lives in cpu/; choosing kernels in ops/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/pod.h"

namespace intaglio {

enum class Isa : std::uint8_t {
#define INTAGLIO_ISA(token, what, implied) token,
#include "base/isa.inc"
#undef INTAGLIO_ISA
};

constexpr std::uint32_t isa_bit(Isa isa) {
  return 1u << static_cast<unsigned>(isa);
}

// The level itself with everything that it implies: closure_of(avx512_vnni) has avx512, avx2, sse42, scalar.
constexpr IsaSet closure_of(Isa isa) {
  switch (isa) {
#define INTAGLIO_ISA(token, what, implied) \
  case Isa::token:                         \
    return IsaSet{isa_bit(Isa::token) | (implied)};
#include "base/isa.inc"
#undef INTAGLIO_ISA
  }
  return IsaSet{0};
}
constexpr bool contains(IsaSet set, Isa isa) {
  return (set.bits & isa_bit(isa)) != 0;
}
constexpr bool contains(IsaSet set, IsaSet subset) {
  return (set.bits & subset.bits) == subset.bits;
}
constexpr IsaSet intersect(IsaSet a, IsaSet b) {
  return IsaSet{a.bits & b.bits};
}

std::string_view name_of(Isa isa);
std::string_view description_of(Isa isa);
std::optional<Isa> parse_isa(std::string_view token);
std::string to_string(IsaSet set);  // "scalar sse42 avx2"
std::string all_isa_names();        // "scalar, sse42, avx2, ..." for messages

}  // namespace intaglio
