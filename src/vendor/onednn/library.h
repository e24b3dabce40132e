// What all files of this folder need of oneDNN: the engine, its version and instruction set, exceptions as errors.
#pragma once

#include <exception>
#include <new>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <string_view>

#include "base/dtype.h"
#include "base/error.h"

// As one number for conditions of the preprocessor: 3.7.2 is 30702.
#define INTAGLIO_ONEDNN_VERSION (DNNL_VERSION_MAJOR * 10000 + DNNL_VERSION_MINOR * 100 + DNNL_VERSION_PATCH)

namespace intaglio::vendor::onednn {

inline constexpr bool kThreadpool = DNNL_CPU_THREADING_RUNTIME == DNNL_RUNTIME_THREADPOOL;

// The CPU engine of the process. The first call caps oneDNN's instruction sets to INTAGLIO_MAX_ISA, if that is set.
// Throws dnnl::error.
const dnnl::engine& engine();

std::string version();                         // "3.7.2", of the library that runs
std::string isa_name();                        // "avx512_core_bf16": the highest set that oneDNN uses here
bool sums_bytes_exactly();                     // without VNNI its 8-bit products saturate in 16 bits
std::string_view runtime_name();               // "threadpool", "OpenMP", ...
dnnl::memory::data_type to_dnnl(DType dtype);  // undef for what oneDNN lacks

Error to_error(std::string_view what, const std::exception& problem);

// Calls `function`, which returns a Result and may throw what dnnl.hpp throws.
template <class F>
auto guarded(std::string_view what, F&& function) -> decltype(function()) {
  try {
    return function();
  } catch (const std::exception& problem) {
    return fail(to_error(what, problem));
  }
}

}  // namespace intaglio::vendor::onednn
