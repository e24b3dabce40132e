// The walk of Args::prefetch through the lines of B that a later call reads. Included by ISA files only.
#pragma once

#include "kernels/gemm/gemm.h"

namespace intaglio::kernels::gemm {
namespace {

template <int NP>
struct Prefetch {
  const char* at;
  const char* then;
  std::size_t left;  // lines until `then`; 0 never gets there
  std::size_t panel;

  explicit Prefetch(const Args& g)
      : at(static_cast<const char*>(g.prefetch)),
        then(static_cast<const char*>(g.prefetch_then)),
        left(g.prefetch_then != nullptr ? g.prefetch_lines : 0),
        panel(g.b_panel) {
    if (then != nullptr && left == 0) at = then;
  }
  // One line of each panel.
  inline __attribute__((always_inline)) void line(std::size_t bytes) {
#pragma GCC unroll 4
    for (std::size_t p = 0; p < NP; ++p) __builtin_prefetch(at + p * panel, 0, 2);
    at += bytes;
    if (--left == 0) at = then;
  }
};

}  // namespace
}  // namespace intaglio::kernels::gemm
