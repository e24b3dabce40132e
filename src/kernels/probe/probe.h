// Contract of the probes: what one core of this machine can do at most. The kernels hold no clock: the caller times
// them.
//
// Compute probes run `iterations` rounds of independent multiply-add chains in registers, on live (non-zero, normal)
// data; one round does `operations` arithmetic operations (a multiply-add counts two). Enough chains to hide the
// latency of every known core at that vector length. `sink` receives the sums, `kSinkBytes`, so that nothing is
// optimised away.
//   fma_f32    x = x * a + b      f32; levels without FMA: a multiply and an add
//   dot_u8s8   vpdpbusd           u8 x s8 -> i32; AVX2: vpmaddwd of widened bytes; AMX: tdpbusd
//   dot_bf16   vdpbf16ps          bf16 x bf16 -> f32; AMX: tdpbf16ps
//   dot_u8s8_fed, dot_bf16_fed    the same with what a matrix product must load meanwhile, from L1: AMX with four tile
//                                 loads for four products of tiles. No GEMM can be faster; share its distance to this.
//                                 On the other levels the loads hide behind the arithmetic, and there is no such row.
//
// Read probes load every byte of [data, data + bytes) once, in order, and return a mix of it. data aligned to 64, bytes
// a multiple of 1024. Called on 16 KiB again and again this is L1's bandwidth, on ever larger buffers L2's, L3's,
// memory's.
#pragma once

#include "base/pod.h"

namespace intaglio::kernels::probe {

constexpr std::size_t kSinkBytes = 64;
constexpr std::size_t kReadGranule = 1024;

using ComputeKernel = void (*)(std::size_t iterations, void* sink);
using ReadKernel = std::uint64_t (*)(const void* data, std::size_t bytes);

}  // namespace intaglio::kernels::probe
