// The probes as rows of data (kernels.inc). Not for ISA files.
#pragma once

#include "kernels/probe/probe.h"

namespace intaglio::kernels::probe {

enum class Quantity : std::uint8_t { fma_f32, dot_u8s8, dot_bf16, dot_u8s8_fed, dot_bf16_fed };
constexpr const char* name_of(Quantity quantity) {
  constexpr const char* kNames[] = {"f32", "u8s8", "bf16", "u8s8 fed from L1", "bf16 fed from L1"};
  return kNames[static_cast<std::size_t>(quantity)];
}
constexpr bool is_integer(Quantity quantity) {
  return quantity == Quantity::dot_u8s8 || quantity == Quantity::dot_u8s8_fed;
}

struct ComputeRow {
  const char* name;
  const char* isa;  // token of base/isa.inc
  Quantity quantity;
  double operations;  // of one iteration
  ComputeKernel kernel;
};
struct ReadRow {
  const char* name;
  const char* isa;
  ReadKernel kernel;
};

extern const ComputeRow kComputeProbes[];
extern const std::size_t kComputeProbeCount;
extern const ReadRow kReadProbes[];
extern const std::size_t kReadProbeCount;

#define INTAGLIO_PROBE_COMPUTE(name, isa, quantity, operations) void name(std::size_t iterations, void* sink);
#define INTAGLIO_PROBE_READ(name, isa)                          std::uint64_t name(const void* data, std::size_t bytes);
#include "kernels/probe/kernels.inc"
#undef INTAGLIO_PROBE_COMPUTE
#undef INTAGLIO_PROBE_READ

}  // namespace intaglio::kernels::probe
