// The packed layouts of B as named values: sizes, strides and offsets in one place. Not for ISA files (they would emit
// these functions as weak symbols); kernels get the numbers through Args.
//
//   f32   [ceil(N/16)][K][16]            element (k, j) at panel(j) + k * 16 + j % 16
//   s8    [ceil(N/16)][Kp/4][16][4]      element (k, j) at panel(j) + (k / 4) * 64 + (j % 16) * 4 + k % 4, Kp = K up to
//   64
//
// Both are padded with zeros. One form serves every M and every ISA level: four neighbouring panels make the 64 columns
// of an AVX-512 block, one panel the 16 of an AVX2 block, 16 rows of 64 bytes of s8 one AMX tile. On a Zen 4, panels
// 16 wide serve AVX-512 as fast as 64-wide strips (docs of the measurement: README.md of kernels/).
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {

enum class Layout : std::uint8_t { panels16_f32, panels16x4_s8 };

constexpr std::size_t round_up(std::size_t value, std::size_t granule) {
  return (value + granule - 1) / granule * granule;
}
constexpr std::size_t panel_count(std::size_t n) {
  return (n + kPanelWidth - 1) / kPanelWidth;
}

// Elements from one panel to the next; the kernel's Args::b_panel.
constexpr std::size_t panel_elements(Layout layout, std::size_t k) {
  return kPanelWidth * (layout == Layout::panels16x4_s8 ? round_up(k, kInt8KPadding) : k);
}
// Bytes of a whole packed B of K x N.
constexpr std::size_t packed_bytes(Layout layout, std::size_t k, std::size_t n) {
  return panel_count(n) * panel_elements(layout, k) * (layout == Layout::panels16_f32 ? sizeof(float) : 1);
}
// Where B's rows from k on begin inside a panel, in elements; k is a multiple of the layout's K granule (1 or 4).
constexpr std::size_t k_offset(std::size_t k) {
  return k * kPanelWidth;
}

constexpr const char* name_of(Layout layout) {
  return layout == Layout::panels16_f32 ? "panels16_f32" : "panels16x4_s8";
}

}  // namespace intaglio::kernels::gemm
