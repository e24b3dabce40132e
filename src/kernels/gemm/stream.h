// What a pass over B prefetches: the rule that callers of the kernels share. Not for ISA files.
#pragma once

#include <algorithm>

#include "kernels/gemm/layout.h"

namespace intaglio::kernels::gemm {

// Sets prefetch* of a call whose a, b, k and b_panel are set. `next`: where B goes on after this call's K range (the
// range behind it, or the next strip's first panel); null: nowhere. A strip is multiplied by `blocks` blocks of rows,
// this is number `block`.
//
// Several blocks: the first reads the strip from memory, the others from L2, where each fetches its part of the next.
// One block: every line is read once, at the speed of memory. The core's own prefetchers serve the four streams of a
// strip but start anew at each strip; a short distance ahead of the reads, turned to the next strip at the end, mends
// that, and a longer one (the whole next strip, which suits several blocks) disturbs them.
// Measured: Zen 4 (EPYC, 2 cores, neighbours), 2026-11, u8s8i32 6x64x4 on AVX512-VNNI, one thread, weights of 512 MB in
// huge pages, share of the read probe's bandwidth in the same round (30 GB/s), medians of 7:
//                            K = 768, M = 1  2  3  4  5  6         K = 3072, M = 1  2  3  4  5  6
//   no prefetch                       77 75 71 67 63 60                        94 96 92 91 93 87
//   the next strip                    80 83 81 80 80 76                        81 82 83 82 82 85
//   1 KiB ahead, then the next strip  92 87 81 69 68 65                        96 99 95 90 88 87
//   2 KiB ahead, then the next strip  98 90 85 75 82 82                        98 89 89 80 85 88
// Several blocks (M = 8 as 4 + 4): the next strip 79 % at K = 768; as 6 + 2 58 %; the first block 2 KiB ahead in its
// own strip and the second the next strip 69 %. In 4 KiB pages the same order, at 20 to 28 GB/s where the probe's one
// stream reads 16 to 22. Prefetching into L1 or past the caches, walking panel by panel and blocks of 7, 8 or 12 rows
// were all slower in one of the cases.
inline void set_prefetch(Args& args, Layout layout, const void* next, std::size_t block, std::size_t blocks) {
  const LayoutFacts facts = facts_of(layout);
  const std::size_t lines = k_bytes(layout, args.k) / facts.bytes;  // of each panel
  if (blocks > 1) {
    const std::size_t part = (lines + blocks - 1) / blocks * facts.bytes;
    args.prefetch = next == nullptr ? nullptr : static_cast<const char*>(next) + block * part;
    args.prefetch_then = nullptr;
    args.prefetch_lines = 0;
    args.prefetch_every = next == nullptr ? 0 : blocks;
    return;
  }
  // s8w4 multiplies twice a line: from three rows on memory and arithmetic take equally long, and 2 KiB win (20.5
  // against 17.8 GB/s at M = 4, K = 4096).
  constexpr std::size_t kLongPanel = 32768, kNear = 1024, kFar = 2048;  // bytes
  const bool is_near = args.b_panel >= kLongPanel && !(layout == Layout::panels16x8_u4 && args.m > 2);
  const std::size_t ahead = std::min((is_near ? kNear : kFar) / facts.bytes, lines);
  args.prefetch = static_cast<const char*>(args.b) + ahead * facts.bytes;
  args.prefetch_then = next;
  args.prefetch_lines = lines - ahead;
  args.prefetch_every = 1;
}

}  // namespace intaglio::kernels::gemm
