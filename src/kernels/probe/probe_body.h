// The loops of the probes over a policy P. Included by ISA files only.
//   P: kChains, Register; start(chain), step(x) (one multiply-add), add(x, y) joins two registers, store(sink, x)
//   R: Register, kLoads; load(p), mix(x, y), zero(), fold(x) -> uint64
#pragma once

#include "kernels/probe/probe.h"

namespace intaglio::kernels::probe {
namespace {

template <class P>
void compute(std::size_t iterations, void* sink) {
  typename P::Register chain[P::kChains];
#pragma GCC unroll 32
  for (int c = 0; c < P::kChains; ++c) chain[c] = P::start(c);
  for (; iterations != 0; --iterations) {
#pragma GCC unroll 32
    for (int c = 0; c < P::kChains; ++c) {
      chain[c] = P::step(chain[c]);
      asm volatile("" : "+v"(chain[c]));  // keeps the chain in its register, in this order
    }
  }
#pragma GCC unroll 32
  for (int c = 1; c < P::kChains; ++c) chain[0] = P::add(chain[0], chain[c]);
  P::store(sink, chain[0]);
}

template <class R>
std::uint64_t read(const void* data, std::size_t bytes) {
  constexpr std::size_t kStep = sizeof(typename R::Register);
  constexpr int kSums = 4;
  typename R::Register sum[kSums] = {R::zero(), R::zero(), R::zero(), R::zero()};
  const char* p = static_cast<const char*>(data);
  for (const char* end = p + bytes; p != end; p += kSums * kStep) {
#pragma GCC unroll 4
    for (int i = 0; i < kSums; ++i) sum[i] = R::mix(sum[i], R::load(p + static_cast<std::size_t>(i) * kStep));
  }
  return R::fold(R::mix(R::mix(sum[0], sum[1]), R::mix(sum[2], sum[3])));
}

}  // namespace
}  // namespace intaglio::kernels::probe
