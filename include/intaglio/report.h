// What Intaglio tells about models, plans and the machine.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "intaglio/types.h"

namespace intaglio {
inline namespace v1 {

// ---- a model file, without compiling it
struct InspectedPort {
  std::string name;
  std::string dtype;
  std::vector<std::string> shape;  // "batch", "128", "?"
};
struct UnsupportedOp {
  std::string op;
  std::vector<std::string> nodes;
};
struct Inspection {
  std::string format;   // "onnx", "pt2" or "plan"
  std::string version;  // "opset 17, IR 8"
  std::string producer;
  std::vector<InspectedPort> inputs, outputs;
  std::map<std::string, std::int64_t> ops;     // op -> count
  std::map<std::string, std::int64_t> dtypes;  // dtype of weights -> parameters (plans: bytes of weights per layout)
  std::int64_t parameters = 0;
  std::size_t weight_bytes = 0;
  std::vector<UnsupportedOp> unsupported;
};
// Reads a .onnx, .pt2 or plan file. `verify` checks every checksum of a plan. Throws Error (file).
INTAGLIO_API Inspection inspect(const std::string& path, bool verify = false);

// ---- a compiled model
struct ModelFacts {
  std::string model;   // file name that it was compiled from
  std::string format;  // "onnx" or "pt2"
  bool from_plan = false;
  double compile_ms = 0;  // 0 if loaded
  double load_ms = 0;     // 0 if compiled
  double import_ms = 0, passes_ms = 0, lower_ms = 0;
  std::string dtype = "f32";      // of floating-point arithmetic
  std::string quantize = "none";  // "dynamic, activations by token"
  std::int64_t model_nodes = 0;
  std::int64_t steps = 0;
  std::int64_t fused = 0;  // patterns that fired
  std::size_t weight_bytes = 0;
  std::size_t packs = 0;  // weights packed to make this model: every one once when compiling, none when loading
  std::size_t packed_weights = 0;  // of the plan, and their bytes
  std::size_t packed_bytes = 0;
  std::size_t huge_page_bytes = 0;  // of packed weights on huge pages when the model was made
  std::string huge_pages_refused;   // why not all of them though it was asked for; else empty
};

// What one core was measured to do.
struct DoctorMeasurement {
  std::string name;  // "f32 peak avx512", "read bandwidth L2"
  double value = 0;
  std::string unit;  // "GFLOP/s", "GB/s"
};

struct ExplainedStep {
  std::string node;    // names of the model's nodes that became this step
  std::string origin;  // source line, if the file carries it
  std::string op;
  std::string kernel;
  std::string isa;
  std::string blocking;  // with input shapes only
  std::string epilogue;
  int threads = 1;   // that have a part of it (without input shapes: that a run has)
  double flops = 0;  // with input shapes only
  double bytes = 0;
  std::string products;         // of matrices: "f32", "bf16", "int8", "f64", "integer", or "none"
  std::string split;            // how threads share it, "N 3072 by 64"; empty: one does all. With input shapes only
  std::string layer;            // the module of the model that the step belongs to, as far as its names tell
  std::size_t arena_bytes = 0;  // that hold something while the step runs; with input shapes only
  // With inputs only, microseconds. predicted: the roofline model (docs/explain.md) with the measured `machine`; `roof`
  // says what limits. measured: of the thread that was in the step longest, median of Explanation::runs.
  std::optional<double> predicted_us, measured_us;
  std::optional<double> roofline_percent;  // 100 * predicted / measured: over 100 where the model is too careful
  std::string roof;                        // "bf16 peak avx512_bf16", "read bandwidth L3"
};
struct FiredFusion {
  std::string pattern, node;
};
struct NearMiss {
  std::string pattern, node, reason;
  // With inputs only: about how long it takes to write and read once more what a fusion would keep in registers: the
  // largest value that the node's steps read of others, or write where they read none. Unset where no step holds the
  // node any more.
  std::optional<double> cost_us;
};
struct Fallback {
  std::string node, reason;
};
// A linear that a rule of quantisation left in floating point.
struct KeptFloat {
  std::string rule, node;
};
struct Explanation {
  std::vector<ExplainedStep> steps;
  std::vector<FiredFusion> fusions;
  std::vector<NearMiss> near_misses;
  std::vector<Fallback> fallbacks;
  std::vector<KeptFloat> kept_float;
  std::size_t weight_bytes = 0;
  std::size_t packed_weights = 0, packed_bytes = 0, packs = 0;  // as in ModelFacts
  // Weights that this process has packed since the model was made: by compiling others. Shapes and runs pack nothing.
  std::size_t packs_since = 0;
  std::size_t huge_page_bytes = 0;  // as in ModelFacts
  std::string huge_pages_refused;
  std::size_t bindings = 0;                 // with input shapes only: distinct problems among the steps
  std::size_t arena_bytes = 0;              // with input shapes only
  std::size_t arena_lower_bound_bytes = 0;  // the most bytes alive at one step
  std::size_t barriers = 0;                 // with input shapes only: how often the threads of a run wait for all
  int threads = 1;                          // of a run
  int runs = 0;                             // that were timed; 0: none
  double run_us = 0;                        // median of a whole run, as its caller sees it
  std::vector<DoctorMeasurement> machine;   // peaks and bandwidths of one core, measured for predicted_us
};

// ---- runs that were timed (Context::profile)
// Times are nanoseconds of a monotonic clock since the first of the runs began.
struct ProfiledSpan {  // one thread's part of one step; all zero if the thread took no part in the run
  std::int64_t begin_ns = 0, end_ns = 0;
  std::int64_t waited_ns = 0;  // of it: for other threads, between the phases of the step
};
struct ProfiledRun {
  std::int64_t begin_ns = 0, end_ns = 0;  // seen by the caller: checks and copies of outputs included
  std::vector<ProfiledSpan> spans;        // [thread * steps + step]; before a step that waits, it waits for others
};
struct ProfiledStep {
  std::string node, op, kernel, isa, epilogue, blocking;  // as in ExplainedStep
  double flops = 0, bytes = 0;
  std::size_t arena_bytes = 0;                                     // that hold something while the step runs
  std::size_t thread_scratch_bytes = 0, shared_scratch_bytes = 0;  // that the step uses: per thread, and once
  bool waits = false;                                              // the threads wait for each other before it
};
struct Profile {
  int threads = 1;
  std::vector<ProfiledStep> steps;
  std::vector<ProfiledRun> runs;
  std::size_t arena_bytes = 0;
  std::size_t barriers = 0;  // of one run, those between the phases of steps included
};

// ---- accuracy, step by step (accuracy() in model.h)
// Of a value against the same one in float64. Elements that are NaN in both, or the same infinity, agree; others that
// are not finite are counted as `odd` and left out of the figures, but rel_l2 is then infinite.
struct ErrorFigures {
  double max_abs = 0;  // largest |actual - exact|
  double rmse = 0;     // root of the mean of (actual - exact)^2
  double rel_l2 = 0;   // |actual - exact| / |exact|, Euclidean; infinite if `exact` alone is 0
  double cosine = 1;   // of the angle between actual and exact; 1 if either is 0
  std::int64_t odd = 0;
};
// A value that a step of the compiled model writes.
struct LayerAccuracy {
  std::int64_t step = 0;  // number in the order of execution, as in Explanation::steps
  std::string node, op, kernel;
  std::string dtype;                // as the step writes it
  std::vector<std::int64_t> shape;  // in this run
  // Names of the model's values that it was compared with: several if the step writes them side by side.
  std::vector<std::string> compared_with;
  std::string not_compared;  // why it could not be; empty if it was
  ErrorFigures error;
  // Largest rel_l2 of what the step read: 0 if that was exact. What cannot be compared passes on that of its own
  // inputs.
  double input_rel_l2 = 0;
};
struct OutputAccuracy {
  std::string name;
  ErrorFigures error;
};
struct AccuracyReport {
  std::string model, format;
  std::int64_t steps = 0;             // of the plan, whatever was asked for
  std::vector<LayerAccuracy> layers;  // largest rel_l2 first; those not compared last
  std::vector<OutputAccuracy> outputs;
  double compile_ms = 0, run_ms = 0, reference_ms = 0;
};

// ---- the machine
struct DoctorVariable {
  std::string name, value, meaning;
  bool set = false;
};
struct DoctorLibrary {
  std::string name, version;
};
struct Diagnosis {
  std::string cpu, vendor;
  int family = 0, model = 0, stepping = 0;
  bool hypervisor = false;
  std::vector<std::string> isa;           // usable levels
  std::vector<std::string> isa_detected;  // before INTAGLIO_MAX_ISA
  bool amx_usable = false;
  std::string amx_reason;
  std::size_t l1d_bytes = 0, l2_bytes = 0, l3_bytes = 0;
  std::string cache_source;
  int logical_cores = 0, physical_cores = 0;
  std::optional<double> cgroup_cpus;
  std::string cgroup_source;
  std::uint64_t memory_bytes = 0;
  std::optional<std::uint64_t> memory_limit_bytes;
  int intra_op = 1, inter_op = 1;
  std::string threads_reason;
  std::string backend;  // of threads
  std::vector<DoctorVariable> variables;
  std::vector<DoctorLibrary> libraries;
  std::vector<DoctorMeasurement> measured;  // empty unless asked for
  std::vector<std::string> notes;
};
// Looks at this machine. `measure` also times peaks and bandwidths (about two seconds). Throws Error (usage) for a bad
// environment variable.
INTAGLIO_API Diagnosis diagnose(bool measure);

// "0.1.0"
INTAGLIO_API std::string version();

// The candidate nearest to `text` by edit distance, if near enough to suggest to somebody who mistyped a name.
INTAGLIO_API std::optional<std::string> suggest(const std::string& text, const std::vector<std::string>& candidates);

}  // namespace v1
}  // namespace intaglio
