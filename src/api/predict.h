// How long a step should take at best: the roofline model with what one core of this machine was measured to do.
#pragma once

#include <string>
#include <string_view>

#include "api/measure.h"

namespace intaglio::internal {

// One step at concrete shapes. Bytes are counted once each (ops/prepared_op.h); constants are weights: read in every
// run, and nothing of the run before is nearer than the whole run's bytes allow.
struct StepWork {
  double flops = 0;
  double constant_bytes = 0;
  double other_bytes = 0;  // activations
  ops::Products products = ops::Products::none;
  std::string_view isa;  // of the kernel
  int threads = 1;       // that have a part of the work
};

struct Prediction {
  double seconds = 0;
  std::string roof;  // what limits: "f32 peak avx512" or "read bandwidth L2"; empty if there is nothing to do
};

// The longer of: flops / (peak of the kernel's products and ISA * threads), and constant_bytes / bandwidth of the level
// that holds all `run_bytes` (weights and arena) + other_bytes / bandwidth of the level that holds the step's bytes.
// L1 and L2 belong to a core: `threads` of them hold as many times their size. Barriers are not counted.
Prediction predict(const Rates& rates, const StepWork& work, double run_bytes);

// The measured peak that bounds these products on this ISA: of the ISA itself, or the highest of those that it implies;
// products that no probe stands for have the f32 one. nullptr if nothing was measured.
const Peak* peak_of(const Rates& rates, ops::Products products, std::string_view isa);

// The nearest level that holds so many bytes, shared by `threads` cores. nullptr if nothing was measured.
const ReadRate* level_of(const Rates& rates, double bytes, int threads);

}  // namespace intaglio::internal
