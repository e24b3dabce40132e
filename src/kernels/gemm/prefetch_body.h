// The loop over a call's lines of k with the prefetch that Args asks for. Included by ISA files only.
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

// kLines of every panel belong to one step. The common intervals, one step and two, have loops of their own: with two
// nested ones u8s8i32 lost a fifth of memory's bandwidth at M = 1 and at M = 8 (Zen 4, 2026-11, K = 768 and 3072).
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
    while (steps != 0) {
      if (every == 1) {
        const std::size_t now = steps < left ? steps : left;
        steps -= now;
        left -= now;
        for (std::size_t i = now; i != 0; --i) {
          fetch();
          step();
        }
      } else if (every == 2 && steps > 1) {
        const std::size_t now = steps / 2 < left ? steps / 2 : left;
        steps -= 2 * now;
        left -= now;
        for (std::size_t i = now; i != 0; --i) {
          fetch();
          step();
          step();
        }
      } else {
        const std::size_t now = every != 0 && every < steps ? every : steps;
        steps -= now;
        if (every != 0) {
          left -= 1;
          fetch();
        }
        for (std::size_t i = now; i != 0; --i) step();
      }
      turn();
    }
  }
};

// Scales and zeros that the block of panels behind this one has for the group `at` elements into the tables: a line in
// sixteen or less, too rare for the core's own prefetchers.
template <int NP>
inline void prefetch_groups(const Args& g, std::size_t at) {
#pragma GCC unroll 4
  for (std::size_t p = NP; p < 2 * NP; ++p) {
    __builtin_prefetch(g.groups.scale + p * g.groups.panel + at, 0, 2);
    if (g.groups.zero != nullptr) __builtin_prefetch(g.groups.zero + p * g.groups.panel + at, 0, 2);
  }
}

}  // namespace
}  // namespace intaglio::kernels::gemm
