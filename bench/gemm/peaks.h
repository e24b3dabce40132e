// What one core can do at most, measured beside everything else (kernels/probe): arithmetic in registers, and reading
// memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/alloc.h"
#include "base/isa.h"
#include "kernels/probe/table.h"

namespace intaglio::bench {

// Seconds of CPU time of the calling thread: what other processes on this CPU use is not in it.
double thread_seconds();
double wall_seconds();

// Operations per second over a burst of about `seconds`.
double measure_compute(const kernels::probe::ComputeRow& row, double seconds);
// Bytes per second: the best of one stream and several side by side, which keep more of the core's prefetchers busy.
// The memory should be much larger than the last cache.
double measure_read(const Buffer& memory);

// The probe for what a GEMM kernel of this name ("gemm_s8s8i32_6x64x4_1x16x4_avx512_vnni") does all the time, on the
// highest level among `isa` and what it implies; null if there is none. `fed`: the probe whose operands come from L1.
const kernels::probe::ComputeRow* probe_of_kernel(std::string_view kernel, Isa isa, bool fed = false);

// The probes that run on this machine.
std::vector<const kernels::probe::ComputeRow*> compute_probes();

}  // namespace intaglio::bench
