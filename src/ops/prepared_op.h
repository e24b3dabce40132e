// A prepared op: kernel chosen, weights packed. Immutable, shared by threads and callers; all state of a run lives in
// the caller's context (bindings, arena, scratch). Runs SPMD: every thread of a region calls run() with its own index.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "base/error.h"
#include "base/shape.h"
#include "ops/touch.h"
#include "threads/partition.h"

namespace intaglio::ops {

// A concrete operand of one binding.
struct Operand {
  DType dtype = DType::f32;
  Shape shape;
};

struct BindRequest {
  std::span<const Operand> inputs;  // absent optional operands are left out by the family's own rules
  std::span<const Operand> outputs;
  std::span<const std::int64_t> params;  // values of symbolic attributes, in the family's documented order
  int threads = 1;                       // the thread count of the region; results must not depend on it
};

// How the threads of a region share a step: each takes an even part of `total` things, in whole grains. "M", 128, 6.
struct ThreadSplit {
  const char* what = "";  // "M", "N", "rows", "heads and query blocks"; empty: nothing to share
  std::int64_t total = 0;
  std::int64_t grain = 1;
};

// The loop structure of one concrete problem. Immutable after bind.
class Binding {
 public:
  virtual ~Binding() = default;
  // "Mc=96 Kc=384 Nc=3072, split N by 2": for explain. Made when asked for: formatting it would be most of a bind.
  virtual std::string blocking_text() const { return blocking; }
  std::size_t thread_scratch_bytes = 0;  // per thread, 64-byte aligned, contents undefined
  std::size_t shared_scratch_bytes = 0;  // once, 64-byte aligned, contents undefined
  int phases = 1;                        // run() is called for phase 0, 1, ...; a barrier separates phases
  std::string blocking;                  // see blocking_text()
  // For rooflines, of one run: the operations that the problem needs (a multiply-add counts two; an exponential or a
  // division one), and the bytes of operands and packed constants that must be touched, each once (see work.h).
  double flops = 0;
  double bytes = 0;
  ThreadSplit split;             // of the phase that does the work
  const char* kernel = nullptr;  // static names of the row that these shapes get, if they decide it; else see Facts
  const char* isa = nullptr;
  // Complete if told: an operand, or the shared scratch, that is not listed for a phase is not touched in it. Untold:
  // any thread may touch anything in any phase. Must hold for every thread count up to that of the request.
  std::optional<std::vector<Touch>> touches;
};

struct RunArgs {
  const void* const* inputs = nullptr;  // 64-byte aligned unless they are user inputs (then aligned to the element) or
                                        // constants mapped from a file (64-byte aligned in plans)
  void* const* outputs = nullptr;
  std::byte* thread_scratch = nullptr;
  std::byte* shared_scratch = nullptr;
};

struct Worker {
  int index = 0;  // 0 .. count-1
  int count = 1;  // may be less than BindRequest::threads (a contested pool runs with 1), never more
  int phase = 0;
};

// Data-dependent outcomes of a run. Everything else was excluded when binding.
enum class RunStatus : std::uint8_t { ok, index_out_of_range };

// What the multiply-adds of a matrix product are computed with. bf16 and int8 are the core's own instructions for them
// (or an exact emulation of the 8-bit ones); narrow operands that are widened first are f32 products.
enum class Products : std::uint8_t { none, f32, bf16, int8, f64, integer };
constexpr std::string_view name_of(Products products) {
  constexpr std::string_view kNames[] = {"none", "f32", "bf16", "int8", "f64", "integer"};
  return kNames[static_cast<std::size_t>(products)];
}

class PreparedOp {
 public:
  virtual ~PreparedOp() = default;
  // Cheap (microseconds), may allocate. Errors: shapes that the op cannot run (usage, naming the operand), a dim
  // product that overflows. Zero-length dims are legal.
  // The result depends on the request, the candidate, the descriptor, the target, and the layouts and sizes of the
  // blobs, never on their contents or addresses: ops in which these are equal run each other's bindings, so that equal
  // layers bind once.
  virtual Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const = 0;
  // Precondition: `binding` came from the bind of this op or of an equal one (see there), args match it. Never throws,
  // allocates, locks or logs. All threads of the region call it; work is split statically by worker.index; threads
  // without work return at once.
  virtual RunStatus run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept = 0;
  // May the executor let output 0 share the memory of input `index` (equal byte sizes are the executor's check)?
  virtual bool may_run_in_place(std::size_t /*index*/) const { return false; }

  struct Facts {
    std::string kernel;                  // the row's name, "f32_6x64_1x16_avx512"
    std::string isa;                     // "avx512"
    std::string epilogue;                // "bias, gelu, residual"
    Products products = Products::none;  // none: the op multiplies no matrices
  };
  virtual Facts facts() const = 0;
};

// The half-open range of `total` items that a worker owns when work comes in grains of `grain` items; see
// threads/partition.h.
using Range = threads::Span;
constexpr Range share_of(std::int64_t total, std::int64_t grain, const Worker& worker) {
  return threads::partition(total, grain, worker.index, worker.count);
}

}  // namespace intaglio::ops
