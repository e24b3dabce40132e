// The packed layouts of B as named values: sizes, strides and offsets in one place. Not for ISA files (they would emit
// these functions as weak symbols); kernels get the numbers through Args.
//
//   panels16_f32     [ceil(N/16)][K][16]         element (k, j) at panel(j) + k * 16 + j % 16
//
//   panels16_f16     the same in f16
//
//   panels16x2_bf16  [ceil(N/16)][Kp/2][16][2]   (k, j) at panel(j) + (k / 2) * 32 + (j % 16) * 2 + k % 2
//
//   panels16x4_s8    [ceil(N/16)][Kp/4][16][4]   (k, j) at panel(j) + (k / 4) * 64 + (j % 16) * 4 + k % 4
//
//   panels16x8_u4    [ceil(N/16)][Kp/8][16][4]   bytes; for q = k % 8: byte q % 4, the low nibble for q < 4
//
// Kp is K up to a multiple of 32 (bf16) or 64 (s8, u4). Drawn in docs/gemm-contract.md.
//
// All are padded with zeros, and every panel begins on a line of 64 bytes. One form serves every M and every ISA level:
// four neighbouring panels make the 64 columns of an AVX-512 block, one panel the 16 of an AVX2 block, 16 rows of 64
// bytes of s8 or bf16 are one AMX tile of B. The nibbles of u4 make two rows of 4 k for vpdpbusd by a mask and by a
// shift and a mask. On a Zen 4, panels 16 wide serve AVX-512 as fast as 64-wide strips (the measurement: README.md of
// kernels/).
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {

enum class Layout : std::uint8_t { panels16_f32, panels16_f16, panels16x2_bf16, panels16x4_s8, panels16x8_u4 };
inline constexpr int kLayoutCount = 5;

// What a step of k is in a layout: `group` k of 16 columns in `bytes`.
struct LayoutFacts {
  const char* name;
  std::size_t group;    // consecutive k of one column stored together
  std::size_t padding;  // K is padded to a multiple of this
  std::size_t bytes;    // of one group of k of 16 columns
};
constexpr LayoutFacts facts_of(Layout layout) {
  constexpr LayoutFacts kFacts[kLayoutCount] = {
      {"panels16_f32", 1, 1, kLineBytes},
      {"panels16_f16", 1, 2, kLineBytes / 2},
      {"panels16x2_bf16", kPairKGroup, kPairKPadding, kLineBytes},
      {"panels16x4_s8", kInt8KGroup, kInt8KPadding, kLineBytes},
      {"panels16x8_u4", kNibbleKGroup, kInt8KPadding, kLineBytes},
  };
  return kFacts[static_cast<std::size_t>(layout)];
}
constexpr const char* name_of(Layout layout) {
  return facts_of(layout).name;
}

constexpr std::size_t round_up(std::size_t value, std::size_t granule) {
  return (value + granule - 1) / granule * granule;
}
constexpr std::size_t panel_count(std::size_t n) {
  return (n + kPanelWidth - 1) / kPanelWidth;
}

// Bytes from the begin of a panel to its row k; k is a multiple of the layout's group.
constexpr std::size_t k_bytes(Layout layout, std::size_t k) {
  return k / facts_of(layout).group * facts_of(layout).bytes;
}
// Bytes from one panel to the next; the kernel's Args::b_panel.
constexpr std::size_t panel_bytes(Layout layout, std::size_t k) {
  return k_bytes(layout, round_up(k, facts_of(layout).padding));
}
// Bytes of a whole packed B of K x N.
constexpr std::size_t packed_bytes(Layout layout, std::size_t k, std::size_t n) {
  return panel_count(n) * panel_bytes(layout, k);
}

// Groups of k with a scale of their own; group == 0: one for all of K.
constexpr std::size_t group_count(std::size_t k, std::size_t group) {
  return group == 0 ? 1 : (k + group - 1) / group;
}
// Elements of a table of scales or zeros (GroupTable), panels padded to 16 columns.
constexpr std::size_t group_elements(std::size_t k, std::size_t n, std::size_t group) {
  return panel_count(n) * group_count(k, group) * kPanelWidth;
}

}  // namespace intaglio::kernels::gemm
