// The GEMM kernels as rows of data (kernels.inc). Choosing among them is done in ops. Not for ISA files.
#pragma once

#include "kernels/gemm/gemm.h"
#include "kernels/gemm/layout.h"

namespace intaglio::kernels::gemm {

// What a row multiplies; the contract of each is in gemm.h.
enum class Types : std::uint8_t { f32, f32bf16, f32f16, f32w8, f32w4, bf16, f16, u8s8i32, s8s8i32, s8w4 };
inline constexpr int kTypesCount = 10;

struct TypeFacts {
  const char* name;
  std::size_t a_bytes;  // of one element of A
  Layout layout;        // of B
  bool integer;         // the accumulator is i32, else f32
  bool grouped;         // B has a GroupTable
};
constexpr TypeFacts facts_of(Types types) {
  constexpr TypeFacts kFacts[kTypesCount] = {
      {"f32", 4, Layout::panels16_f32, false, false},     {"f32bf16", 4, Layout::panels16x2_bf16, false, false},
      {"f32f16", 4, Layout::panels16_f16, false, false},  {"f32w8", 4, Layout::panels16x4_s8, false, true},
      {"f32w4", 4, Layout::panels16x8_u4, false, true},   {"bf16", 2, Layout::panels16x2_bf16, false, false},
      {"f16", 2, Layout::panels16_f16, false, false},     {"u8s8i32", 1, Layout::panels16x4_s8, true, false},
      {"s8s8i32", 1, Layout::panels16x4_s8, true, false}, {"s8w4", 1, Layout::panels16x8_u4, false, true},
  };
  return kFacts[static_cast<std::size_t>(types)];
}

struct KernelRow {
  const char* name;  // op_types_block_tile_isa
  const char* isa;   // token of base/isa.inc
  Types types;
  std::size_t block_m, block_n;  // the most that one call computes
  std::size_t tile_k;            // K ranges that do not end the sum are multiples of this
  std::int32_t a_offset;         // s8s8i32: what the row adds to every element of A
  Kernel kernel;
  Setup enter, leave;  // null: none needed
};

extern const KernelRow kKernels[];
extern const std::size_t kKernelCount;

#define INTAGLIO_GEMM_KERNEL(name, isa, types, block_m, block_n, tile_k)                  void name(const Args& args);
#define INTAGLIO_GEMM_KERNEL_OFFSET(name, isa, types, block_m, block_n, tile_k, a_offset) void name(const Args& args);
#define INTAGLIO_GEMM_KERNEL_SETUP(name, isa, types, block_m, block_n, tile_k, enter, leave) \
  void name(const Args& args);                                                               \
  void enter();                                                                              \
  void leave();
#include "kernels/gemm/kernels.inc"
#undef INTAGLIO_GEMM_KERNEL
#undef INTAGLIO_GEMM_KERNEL_OFFSET
#undef INTAGLIO_GEMM_KERNEL_SETUP

}  // namespace intaglio::kernels::gemm
