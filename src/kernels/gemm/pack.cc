#include "kernels/gemm/pack.h"

#include <algorithm>
#include <cstring>

namespace intaglio::kernels::gemm {
namespace {

// Columns contiguous in the source (n_stride == 1): a panel's row is one copy.
void pack_panel_rows(const float* from, std::size_t k, std::size_t k_stride, std::size_t columns, float* to) {
  for (std::size_t i = 0; i < k; ++i, to += kPanelWidth) {
    const float* row = from + i * k_stride;
    if (columns == kPanelWidth) {
      std::memcpy(to, row, sizeof(float) * kPanelWidth);
      continue;
    }
    std::memcpy(to, row, sizeof(float) * columns);
    std::fill(to + columns, to + kPanelWidth, 0.0f);
  }
}

// Any strides. Sixteen k at a time, so that the panel's lines stay in L1 while each source column is read along k.
void pack_panel_columns(const float* from, const PackSource& source, std::size_t columns, float* to) {
  constexpr std::size_t kStep = 16;
  for (std::size_t k0 = 0; k0 < source.k; k0 += kStep) {
    const std::size_t steps = std::min(kStep, source.k - k0);
    float* block = to + k0 * kPanelWidth;
    for (std::size_t j = 0; j < kPanelWidth; ++j) {
      const float* column = from + k0 * source.k_stride + (j < columns ? j : 0) * source.n_stride;
      for (std::size_t i = 0; i < steps; ++i) {
        block[i * kPanelWidth + j] = j < columns ? column[i * source.k_stride] : 0.0f;
      }
    }
  }
}

}  // namespace

void pack_f32(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, float* packed) {
  const float* data = static_cast<const float*>(source.data);
  const std::size_t panel = panel_elements(Layout::panels16_f32, source.k);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    const std::size_t j0 = p * kPanelWidth;
    const std::size_t columns = std::min(kPanelWidth, source.n - j0);
    const float* from = data + j0 * source.n_stride;
    if (source.n_stride == 1) {
      pack_panel_rows(from, source.k, source.k_stride, columns, packed + p * panel);
    } else {
      pack_panel_columns(from, source, columns, packed + p * panel);
    }
  }
}

void pack_s8(const PackSource& source, bool flip, std::size_t panel_begin, std::size_t panel_end, std::int8_t* packed,
             std::int32_t* column_sums) {
  const std::uint8_t* data = static_cast<const std::uint8_t*>(source.data);
  const std::size_t panel = panel_elements(Layout::panels16x4_s8, source.k);
  const std::uint8_t mask = flip ? 0x80 : 0x00;
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    std::int8_t* to = packed + p * panel;
    std::memset(to, 0, panel);
    const std::size_t j0 = p * kPanelWidth;
    const std::size_t columns = std::min(kPanelWidth, source.n - j0);
    std::uint32_t sums[kPanelWidth] = {};
    for (std::size_t k = 0; k < source.k; ++k) {
      std::int8_t* group = to + k / kInt8KGroup * (kPanelWidth * kInt8KGroup) + k % kInt8KGroup;
      const std::uint8_t* row = data + k * source.k_stride + j0 * source.n_stride;
      for (std::size_t j = 0; j < columns; ++j) {
        const auto value = static_cast<std::int8_t>(row[j * source.n_stride] ^ mask);
        group[j * kInt8KGroup] = value;
        sums[j] += static_cast<std::uint32_t>(value);
      }
    }
    if (column_sums == nullptr) continue;
    for (std::size_t j = 0; j < columns; ++j) column_sums[j0 + j] = static_cast<std::int32_t>(sums[j]);
  }
}

}  // namespace intaglio::kernels::gemm
