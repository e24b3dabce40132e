#include "kernels/gemm/pack.h"

#include <algorithm>
#include <cstring>

#include "kernels/math/scalar_half.h"

namespace intaglio::kernels::gemm {
namespace {

std::size_t columns_of(const PackSource& source, std::size_t panel) {
  return std::min(kPanelWidth, source.n - panel * kPanelWidth);
}

// Columns contiguous in the source (n_stride == 1): a panel's row is one copy. Several panels at a time, so that the
// source is read in runs of a few lines, not line by line a row apart.
constexpr std::size_t kPanelsAtOnce = 8;

template <class T>
void copy_panels(const PackSource& source, std::size_t panel_begin, std::size_t panel_end, std::size_t panel,
                 T* packed) {
  const T* data = static_cast<const T*>(source.data);
  const std::size_t whole = std::max(panel_begin, std::min(panel_end, source.n / kPanelWidth));
  for (std::size_t p = panel_begin; p < whole; p += kPanelsAtOnce) {
    const std::size_t count = std::min(kPanelsAtOnce, whole - p);
    for (std::size_t k = 0; k < source.k; ++k) {
      const T* from = data + k * source.k_stride + p * kPanelWidth;
      T* to = packed + p * panel + k * kPanelWidth;
      for (std::size_t i = 0; i < count; ++i)
        std::memcpy(to + i * panel, from + i * kPanelWidth, sizeof(T) * kPanelWidth);
    }
  }
  for (std::size_t p = whole; p < panel_end; ++p) {
    const std::size_t columns = columns_of(source, p);
    T* to = packed + p * panel;
    for (std::size_t k = 0; k < source.k; ++k, to += kPanelWidth) {
      std::memcpy(to, data + k * source.k_stride + p * kPanelWidth, sizeof(T) * columns);
      std::fill(to + columns, to + kPanelWidth, T{});
    }
  }
  for (std::size_t p = panel_begin; p < panel_end; ++p)
    std::fill(packed + p * panel + source.k * kPanelWidth, packed + (p + 1) * panel, T{});
}

// Layouts that store the kGroup consecutive k of a column as one word of 32 bits, from a source whose elements are
// copied, each xored with `mask`. Element e of a word is its e-th lowest.
template <class T>
struct Words {
  static constexpr std::size_t kGroup = sizeof(std::uint32_t) / sizeof(T);
  const PackSource& source;
  std::uint32_t mask;  // of one element

  std::uint32_t element(std::size_t k, std::size_t j) const {
    T x;
    std::memcpy(&x, static_cast<const T*>(source.data) + k * source.k_stride + j * source.n_stride, sizeof x);
    return x ^ mask;
  }
  // The word of k, k + 1, ... of column j; what lies beyond K is 0.
  std::uint32_t word(std::size_t k, std::size_t j) const {
    std::uint32_t out = 0;
    for (std::size_t e = 0; e < kGroup && k + e < source.k; ++e) out |= element(k + e, j) << (8 * sizeof(T) * e);
    return out;
  }
  std::uint32_t mask_of_word() const {
    std::uint32_t out = 0;
    for (std::size_t e = 0; e < kGroup; ++e) out |= mask << (8 * sizeof(T) * e);
    return out;
  }

  // A whole line, from kGroup contiguous rows of 16 columns.
  void line_of_rows(std::size_t k, std::size_t j, std::byte* to) const {
    T rows[kGroup][kPanelWidth];
    const T* from = static_cast<const T*>(source.data) + k * source.k_stride + j;
    for (std::size_t e = 0; e < kGroup; ++e) std::memcpy(rows[e], from + e * source.k_stride, sizeof rows[e]);
    const std::uint32_t flips = mask_of_word();
    std::uint32_t line[kPanelWidth];
    for (std::size_t c = 0; c < kPanelWidth; ++c) line[c] = flips;
    for (std::size_t e = 0; e < kGroup; ++e) {
      for (std::size_t c = 0; c < kPanelWidth; ++c) line[c] ^= std::uint32_t{rows[e][c]} << (8 * sizeof(T) * e);
    }
    std::memcpy(to, line, sizeof line);
  }
  // Lines [begin, end) of `columns` columns, from columns that are contiguous along k.
  void lines_of_columns(std::size_t begin, std::size_t end, std::size_t j, std::size_t columns,
                        std::byte* panel) const {
    const std::uint32_t flips = mask_of_word();
    for (std::size_t c = 0; c < columns; ++c) {
      const T* from = static_cast<const T*>(source.data) + (j + c) * source.n_stride + begin * kGroup;
      for (std::size_t line = begin; line < end; ++line, from += kGroup) {
        std::uint32_t word = 0;
        std::memcpy(&word, from, sizeof word);
        put(panel, line, c, word ^ flips);
      }
    }
  }

  static void put(std::byte* panel, std::size_t line, std::size_t column, std::uint32_t word) {
    std::memcpy(panel + line * kLineBytes + column * sizeof word, &word, sizeof word);
  }

  void panel(std::size_t p, std::size_t bytes, std::byte* to) const {
    const std::size_t j = p * kPanelWidth, columns = columns_of(source, p), whole = source.k / kGroup;
    std::size_t line = 0;
    if (source.n_stride == 1 && columns == kPanelWidth) {
      for (; line < whole; ++line) line_of_rows(line * kGroup, j, to + line * kLineBytes);
      std::memset(to + line * kLineBytes, 0, bytes - line * kLineBytes);
    } else {
      std::memset(to, 0, bytes);
      constexpr std::size_t kStep = 16;  // lines: they stay in L1 while each column is read along k
      for (; source.k_stride == 1 && line < whole; line = std::min(whole, line + kStep)) {
        lines_of_columns(line, std::min(whole, line + kStep), j, columns, to);
      }
    }
    for (; line * kGroup < source.k; ++line) {
      for (std::size_t c = 0; c < columns; ++c) put(to, line, c, word(line * kGroup, j + c));
    }
  }
};

template <class T, class To>
void pack_words(Layout layout, const PackSource& source, std::uint32_t mask, std::size_t panel_begin,
                std::size_t panel_end, To* packed) {
  const std::size_t bytes = panel_bytes(layout, source.k);
  if (bytes == 0) return;  // no memory either: k is 0
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    Words<T>{source, mask}.panel(p, bytes, reinterpret_cast<std::byte*>(packed + p * (bytes / sizeof(To))));
  }
}

// The sum of the four signed bytes of each word of a panel, by column.
void sum_columns(const std::int8_t* panel, std::size_t lines, std::uint32_t (&sums)[kPanelWidth]) {
  for (std::uint32_t& sum : sums) sum = 0;
  for (std::size_t line = 0; line < lines; ++line, panel += kLineBytes) {
    std::uint32_t words[kPanelWidth];
    std::memcpy(words, panel, sizeof words);
    const auto byte = [](std::uint32_t word, int left) {
      return static_cast<std::uint32_t>(static_cast<std::int32_t>(word << left) >> 24);
    };
    for (std::size_t j = 0; j < kPanelWidth; ++j) {
      sums[j] += byte(words[j], 0) + byte(words[j], 8) + byte(words[j], 16) + byte(words[j], 24);
    }
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
  if (bytes == 0) return;
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
  copy_panels(source, panel_begin, panel_end, source.k * kPanelWidth, packed);
}

void pack_f16(const PackSource& source, DType source_type, std::size_t panel_begin, std::size_t panel_end,
              Float16* packed) {
  constexpr Layout kLayout = Layout::panels16_f16;
  if (source_type == DType::f32) {
    pack_panels<1, float>(kLayout, source, panel_begin, panel_end, packed,
                          [](float x) { return math::narrowed_f16(static_cast<double>(x)); });
  } else if (source.n_stride == 1) {
    copy_panels(source, panel_begin, panel_end, panel_bytes(kLayout, source.k) / sizeof(Float16), packed);
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
    pack_words<std::uint16_t>(kLayout, source, 0, panel_begin, panel_end, packed);
  }
}

void pack_s8(const PackSource& source, bool flip, std::size_t panel_begin, std::size_t panel_end, std::int8_t* packed,
             std::int32_t* column_sums) {
  pack_words<std::uint8_t>(Layout::panels16x4_s8, source, flip ? 0x80 : 0x00, panel_begin, panel_end, packed);
  if (column_sums == nullptr) return;
  const std::size_t panel = panel_bytes(Layout::panels16x4_s8, source.k);
  for (std::size_t p = panel_begin; p < panel_end; ++p) {
    std::uint32_t sums[kPanelWidth];
    sum_columns(packed + p * panel, panel / kLineBytes, sums);
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
