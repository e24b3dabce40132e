// What set_prefetch asks for, line by line: every line that is read later is fetched, none before the reads.
#include "kernels/gemm/stream.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace intaglio::kernels::gemm {
namespace {

constexpr std::size_t kPanels = 4;

// Lines of the first panel, counted from its begin, that a call's walk fetches.
std::vector<std::size_t> walk(const Args& args, Layout layout, const char* b) {
  const std::size_t bytes = facts_of(layout).bytes, lines = k_bytes(layout, args.k) / bytes;
  std::vector<std::size_t> out;
  if (args.prefetch == nullptr || args.prefetch_every == 0) return out;
  for (std::size_t step = 0; step < lines; step += args.prefetch_every) {
    const bool turned = args.prefetch_then != nullptr && out.size() >= args.prefetch_lines;
    const char* from = static_cast<const char*>(turned ? args.prefetch_then : args.prefetch);
    const std::size_t at = out.size() - (turned ? args.prefetch_lines : 0);
    out.push_back(static_cast<std::size_t>(from - b) / bytes + at);
  }
  return out;
}

Args strip_of(Layout layout, std::size_t k, const char* b) {
  Args args;
  args.m = 1;
  args.k = k;
  args.b = b;
  args.b_panel = panel_bytes(layout, k);
  return args;
}

TEST(GemmStream, OneBlockFetchesAheadOfItsReadsAndTurnsToTheNextStrip) {
  for (const Layout layout : {Layout::panels16_f32, Layout::panels16x4_s8, Layout::panels16x8_u4}) {
    for (const std::size_t k : {8, 64, 768, 8192}) {
      const std::size_t strip = kPanels * panel_bytes(layout, k), lines = k_bytes(layout, k) / facts_of(layout).bytes;
      const std::vector<char> b(2 * strip);
      Args args = strip_of(layout, k, b.data());
      set_prefetch(args, layout, b.data() + strip, 0, 1);
      const std::vector<std::size_t> fetched = walk(args, layout, b.data());
      ASSERT_EQ(fetched.size(), lines);
      const std::size_t next = strip / facts_of(layout).bytes, ahead = lines - args.prefetch_lines;
      ASSERT_GT(ahead, 0u);
      for (std::size_t i = 0; i < lines; ++i) {
        ASSERT_EQ(fetched[i], i < lines - ahead ? i + ahead : next + i - (lines - ahead)) << k << " line " << i;
      }
    }
  }
}

TEST(GemmStream, SeveralBlocksTogetherFetchTheWholeNextStrip) {
  constexpr Layout kLayout = Layout::panels16x4_s8;
  for (const std::size_t blocks : {2, 3, 5}) {
    for (const std::size_t k : {64, 100, 768}) {
      const std::size_t strip = kPanels * panel_bytes(kLayout, k);
      const std::vector<char> b(2 * strip);
      std::set<std::size_t> fetched;
      for (std::size_t block = 0; block < blocks; ++block) {
        Args args = strip_of(kLayout, k, b.data());
        set_prefetch(args, kLayout, b.data() + strip, block, blocks);
        for (const std::size_t line : walk(args, kLayout, b.data())) fetched.insert(line);
      }
      for (std::size_t i = 0; i < k / kInt8KGroup; ++i) {
        ASSERT_TRUE(fetched.count(strip / kLineBytes + i)) << blocks << " blocks, k " << k << ", line " << i;
      }
      Args last = strip_of(kLayout, k, b.data());
      set_prefetch(last, kLayout, nullptr, 0, blocks);
      EXPECT_EQ(last.prefetch_every, 0u);
    }
  }
}

}  // namespace
}  // namespace intaglio::kernels::gemm
