// The loop over a call's lines of k with the prefetch that Args asks for. Included by ISA files only.
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

// kLines of every panel belong to one step. The common interval, before every step, has a loop of its own: two nested
// ones cost a fifth of the bandwidth of a single row (Zen 4, 2026-11).
template <int NP, std::size_t kLines, std::size_t kBytes>
struct PrefetchWalk {
  const char* at;
  const char* then;
  std::size_t left;  // prefetches until `then`
  std::size_t every, panel;

  explicit PrefetchWalk(const Args& g)
      : at(static_cast<const char*>(g.prefetch)),
        then(static_cast<const char*>(g.prefetch_then)),
        left(then != nullptr ? g.prefetch_lines / kLines : ~std::size_t{0}),
        every(at != nullptr ? g.prefetch_every : 0),
        panel(g.b_panel) {
    turn();
  }
  inline __attribute__((always_inline)) void turn() {
    if (left != 0) return;
    at = then;
    left = ~std::size_t{0};
  }
  inline __attribute__((always_inline)) void fetch() {
#pragma GCC unroll 4
    for (std::size_t p = 0; p < NP; ++p) {
#pragma GCC unroll 4
      for (std::size_t line = 0; line < kLines; ++line) __builtin_prefetch(at + p * panel + line * kBytes, 0, 2);
    }
    at += kLines * kBytes;
  }
  template <class Step>
  inline __attribute__((always_inline)) void run(std::size_t steps, Step step) {
    if (every == 0) {
      for (; steps != 0; --steps) step();
      return;
    }
    while (steps != 0) {
      if (every == 1) {
        const std::size_t now = steps < left ? steps : left;
        steps -= now;
        left -= now;
        for (std::size_t i = now; i != 0; --i) {
          fetch();
          step();
        }
      } else {
        const std::size_t now = steps < every ? steps : every;
        steps -= now;
        left -= 1;
        fetch();
        for (std::size_t i = now; i != 0; --i) step();
      }
      turn();
    }
  }
};

}  // namespace
}  // namespace intaglio::kernels::gemm
