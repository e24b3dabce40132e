#include "kernels/gemm/pack.h"

#include <algorithm>
#include <cstring>

#include "kernels/math/scalar_half.h"

namespace intaglio::kernels::gemm {
namespace {

std::size_t columns_of(const PackSource& source, std::size_t panel) {
  return std::min(kPanelWidth, source.n - panel * kPanelWidth);
}

// Columns contiguous in the source (n_stride == 1): a panel's row is one copy.
template <class T>
void copy_rows(const T* from, std::size_t k, std::size_t k_stride, std::size_t columns, T* to) {
  for (std::size_t i = 0; i < k; ++i, to += kPanelWidth) {
    std::memcpy(to, from + i * k_stride, sizeof(T) * columns);
    std::fill(to + columns, to + kPanelWidth, T{});
  }
}

// [k / kGroup][16][kGroup] from any strides. Sixteen k at a time, so that the panel's lines stay in L1 while each
// source column is read along k.
template <std::size_t kGroup, class From, class To, class Convert>
void place(const From* from, const PackSource& source, std::size_t columns, To* to, Convert convert) {
  constexpr std::size_t kStep = 16;
  for (std::size_t k0 = 0; k0 < source.k; k0 += kStep) {
    const std::size_t end = std::min(source.k, k0 + kStep);
    for (std::size_t j = 0; j < columns; ++j) {
      const From* column = from + j * source.n_stride;
      for (std::size_t k = k0; k < end; ++k) {
        to[(k / kGroup * kPanelWidth + j) * kGroup + k % kGroup] = convert(column[k * source.k_stride]);
      }
    }
  }
}

// Panels of one layout, zeroed first.
template <std::size_t kGroup, class From, class To, class Convert>
void pack_panels(Layout layout, const PackSource& source, std::size_t panel_begin, std::size_t panel_end, To* packed,
                 Convert convert) {
  const std::size_t bytes = panel_bytes(layout, source.k);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    To* to = packed + p * (bytes / sizeof(To));
    std::memset(static_cast<void*>(to), 0, bytes);
    const From* from = static_cast<const From*>(source.data) + p * kPanelWidth * source.n_stride;
    place<kGroup>(from, source, columns_of(source, p), to, convert);
  }
}

}  // namespace

void pack_f32(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, float* packed) {
  const auto same = [](float x) { return x; };
  if (source.n_stride != 1) {
    return pack_panels<1, float>(Layout::panels16_f32, source, panel_begin, panel_end, packed, same);
  }
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    copy_rows(static_cast<const float*>(source.data) + p * kPanelWidth, source.k, source.k_stride,
              columns_of(source, p), packed + p * source.k * kPanelWidth);
  }
}

void pack_f16(const PackSource& source, DType source_type, std::size_t panel_begin, std::size_t panel_end,
              Float16* packed) {
  constexpr Layout kLayout = Layout::panels16_f16;
  if (source_type == DType::f32) {
    pack_panels<1, float>(kLayout, source, panel_begin, panel_end, packed,
                          [](float x) { return math::narrowed_f16(static_cast<double>(x)); });
  } else {
    pack_panels<1, Float16>(kLayout, source, panel_begin, panel_end, packed, [](Float16 x) { return x; });
  }
}

void pack_bf16(const PackSource& source, DType source_type, std::size_t panel_begin, std::size_t panel_end,
               BFloat16* packed) {
  constexpr Layout kLayout = Layout::panels16x2_bf16;
  if (source_type == DType::f32) {
    pack_panels<kPairKGroup, float>(kLayout, source, panel_begin, panel_end, packed,
                                    [](float x) { return math::narrowed_bf16(x); });
  } else {
    pack_panels<kPairKGroup, BFloat16>(kLayout, source, panel_begin, panel_end, packed, [](BFloat16 x) { return x; });
  }
}

void pack_s8(const PackSource& source, bool flip, std::size_t panel_begin, std::size_t panel_end, std::int8_t* packed,
             std::int32_t* column_sums) {
  const std::uint8_t mask = flip ? 0x80 : 0x00;
  pack_panels<kInt8KGroup, std::uint8_t>(Layout::panels16x4_s8, source, panel_begin, panel_end, packed,
                                         [mask](std::uint8_t x) { return static_cast<std::int8_t>(x ^ mask); });
  if (column_sums == nullptr) return;
  const std::size_t panel = panel_bytes(Layout::panels16x4_s8, source.k);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    std::uint32_t sums[kPanelWidth] = {};
    const std::int8_t* from = packed + p * panel;
    for (std::size_t at = 0; at < panel; ++at) {
      sums[at / kInt8KGroup % kPanelWidth] += static_cast<std::uint32_t>(from[at]);
    }
    for (std::size_t j = 0; j < columns_of(source, p); ++j) {
      column_sums[p * kPanelWidth + j] = static_cast<std::int32_t>(sums[j]);
    }
  }
}

void pack_u4(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, std::uint8_t* packed) {
  const auto* data = static_cast<const std::uint8_t*>(source.data);
  const std::size_t panel = panel_bytes(Layout::panels16x8_u4, source.k);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    std::uint8_t* to = packed + p * panel;
    std::memset(to, 0, panel);
    for (std::size_t j = 0; j < columns_of(source, p); ++j) {
      for (std::size_t k = 0; k < source.k; ++k) {
        const std::size_t e = k * source.k_stride + (p * kPanelWidth + j) * source.n_stride;
        const int code = data[e / 2] >> (e % 2 * 4) & 15;
        const std::size_t in = k % kNibbleKGroup;
        std::uint8_t& byte = to[k / kNibbleKGroup * kLineBytes + j * 4 + in % 4];
        byte = static_cast<std::uint8_t>(byte | code << (in / 4 * 4));
      }
    }
  }
}

void pack_groups(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, float* packed) {
  pack_panels<1, float>(Layout::panels16_f32, source, panel_begin, panel_end, packed, [](float x) { return x; });
}

}  // namespace intaglio::kernels::gemm
