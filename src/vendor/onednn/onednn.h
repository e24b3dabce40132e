// oneDNN as a source of candidates beside our own. Optional: CMake target `intaglio_vendor`, option INTAGLIO_ONEDNN.
//
// Family linear: "onednn.linear", a matmul primitive on weights that oneDNN packed once, everything else of the
// descriptor fused into it or refused with the reason. Not bit-equal to our own candidate: oneDNN orders sums by its
// blocking, and its activations are polynomials of its own.
//
// Limits: pack, prepare and bind may be slow (bind generates code for its M). run allocates no memory of ours; oneDNN
// itself does so for a thread's first run (its stream). Where oneDNN was built with its threadpool runtime, the workers
// of a region share one product: they wait for each other inside run(), so they have to run at the same time, as
// threads::Pool has them. With its other runtimes worker 0 does all of it, with the threads of that runtime.
#pragma once

#include <span>
#include <string>

#include "ops/candidate.h"

namespace intaglio::vendor::onednn {

// Best first within a family. Static storage.
std::span<const ops::Candidate* const> candidates();

// "oneDNN 3.7.2, threadpool runtime, up to avx512_core_bf16"
std::string description();

}  // namespace intaglio::vendor::onednn
