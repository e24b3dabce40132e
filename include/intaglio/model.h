// Models: compile once (or load a plan), run many times.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "intaglio/report.h"
#include "intaglio/types.h"

namespace intaglio {
inline namespace v1 {

// How linears (products with constant weights) are quantised.
enum class Quantize : std::uint8_t {
  none,
  // Weights become i8, symmetric, a scale per output channel, when compiling; activations 8-bit in every run (see
  // Activations). Products are exact integers. What stays floating point, by rule: linears whose weight is not
  // constant, those with fewer than 16 outputs (classifiers) or 32 inputs, those of `keep_float`.
  // Explanation::kept_float lists them.
  dynamic,
};
// The scales of dynamically quantised activations.
enum class Activations : std::uint8_t {
  token,   // each row by itself, symmetric: scale = max|x| / 127
  tensor,  // all rows together, asymmetric u8, as ONNX DynamicQuantizeLinear defines it
};

struct CompileOptions {
  // Of floating-point arithmetic: f32, or bf16: weights of linears, activations and attention are bf16, sums are f32;
  // biases, norms' parameters and embedding tables stay f32. Inputs and outputs keep the model's dtypes.
  DType dtype = DType::f32;
  Quantize quantize = Quantize::none;
  Activations activations = Activations::token;  // with Quantize::dynamic
  std::set<std::string> keep_float;              // with Quantize::dynamic: "first", "last" linear of the model
  int threads = 0;                               // 0: as many as the machine, its cgroup and INTAGLIO_THREADS allow
  std::set<std::string> disabled_passes;         // see pass_names()
  // Inputs to be fixed to a value and removed from the signature (shape operands that a model takes as inputs).
  std::vector<NamedTensor> fixed_inputs;
  // What must hold, else Error (requirement) with the nodes that fall short, what they are instead and why:
  // "bf16" (all products of matrices are of bf16 or 8-bit integers), "int8" (those of linears are of 8-bit integers,
  // but for what keep_float keeps), "fused" (no near miss of a fusion), "amx" (all products run on AMX),
  // "no-fallback" (no kernel was refused).
  std::vector<std::string> require;
  // Packed weights go to memory of this process on huge pages (2 MiB), where kernels miss the TLB less. Costs a copy.
  // Where the system has none, they stay where they are and ModelFacts::huge_pages_refused says why. Throws Error
  // (usage) if they exceed the memory of the machine or its cgroup, (internal) if memory is refused.
  bool huge_pages = false;
  // Called with a stage ("import", "passes", "pack") and the fraction done. May be empty.
  std::function<void(std::string_view stage, double fraction)> progress;
};

struct LoadOptions {
  int threads = 0;
  bool verify = false;  // check the checksums of all weights (also INTAGLIO_VERIFY=1)
  std::vector<std::string> require;
  // As in CompileOptions. Without it weights are pages of the plan's file: read when first used, shared by all
  // processes that map it. With it all are read and copied at load, and are this process's own.
  bool huge_pages = false;
};

// What CompileOptions::require may hold.
INTAGLIO_API std::vector<std::string> requirement_names();

// The names of all passes, in order of execution.
INTAGLIO_API std::vector<std::string> pass_names();

// A dim as declared: a fixed size, or an expression over symbols.
struct DimInfo {
  std::string text;        // "128", "batch", "batch*seq"
  std::int64_t size = -1;  // -1 if symbolic
  std::string symbol;      // its name if the dim is one bare symbol
  std::int64_t min = 0;    // of a bare symbol: its declared range
  std::int64_t max = INT64_MAX;
};
struct PortInfo {
  std::string name;
  DType dtype = DType::f32;
  std::vector<DimInfo> dims;
  // For integer inputs: the indices that are legal because a table is indexed with them, [0, index_limit); 0 if
  // unknown.
  std::int64_t index_limit = 0;
};

struct TensorView {
  const void* data = nullptr;
  DType dtype = DType::f32;
  std::span<const std::int64_t> shape;
};
struct MutableView {
  void* data = nullptr;
  std::size_t bytes = 0;  // at least those of the output
};

class Model;

// One caller's state: arena, scratch, bindings of recent shapes. Contexts of one model run concurrently, one thread
// each.
class INTAGLIO_API Context {
 public:
  Context(Context&&) noexcept;
  Context& operator=(Context&&) noexcept;
  ~Context();

  // Binds input shapes (in the order of Model::inputs()) and returns the outputs' shapes. Runs of these shapes then
  // allocate nothing. Throws Error (usage, unsupported).
  std::vector<Shape> prepare(std::span<const Shape> input_shapes);

  // Runs once: inputs and outputs in the model's order; no output overlaps an input or another output. nullptr: done;
  // else what went wrong, valid until the next call. Does not throw; does not allocate for prepared shapes unless it
  // fails.
  const Error* run_into(std::span<const TensorView> inputs, std::span<const MutableView> outputs) noexcept;

  // Runs `runs` times, one after the other, and tells when each thread began and ended each step. Timing costs some
  // 50 ns a step and thread. Throws Error: as run_into, and usage if runs < 1.
  Profile profile(std::span<const TensorView> inputs, std::span<const MutableView> outputs, int runs = 1);

  std::size_t arena_bytes() const;  // activations and scratch held now

 private:
  friend class Model;
  struct Impl;
  explicit Context(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A compiled model: immutable, cheap to copy (shared), safe to use from many threads.
class INTAGLIO_API Model {
 public:
  const std::vector<PortInfo>& inputs() const;
  const std::vector<PortInfo>& outputs() const;

  // Convenient: checks names, allocates outputs, runs on a context of this model (kept for the next call; concurrent
  // calls get contexts of their own). Throws Error: usage (missing, unknown or misnamed input, wrong dtype, rank or
  // dim), unsupported, data out of range (usage).
  std::vector<NamedTensor> run(const std::vector<NamedTensor>& inputs) const;

  Context make_context() const;
  int threads() const;

  // Writes a plan file, atomically. Throws Error (file).
  void save(const std::string& path) const;

  ModelFacts facts() const;     // sizes and times
  Explanation explain() const;  // every step, fusion, near miss and fallback
  // The same with predicted work for these input shapes (in the order of inputs()): blocking, flops, bytes. Throws
  // Error.
  Explanation explain(std::span<const Shape> input_shapes) const;
  // The same with times: measures peaks and bandwidths of this machine (a second, on one core), then runs the inputs
  // (in the order of inputs()) up to `runs` times, fewer if that takes more than seconds. Throws Error: as
  // Context::profile.
  Explanation explain(std::span<const TensorView> inputs, int runs) const;

  // CompileOptions::require once more, for the kernels that these input shapes get. Throws Error: usage, requirement.
  void require(const std::vector<std::string>& names, std::span<const Shape> input_shapes) const;

  struct Impl;  // of the library

 private:
  friend struct ModelAccess;
  explicit Model(std::shared_ptr<const Impl> impl);
  std::shared_ptr<const Impl> impl_;
};

// Compiles a .onnx or .pt2 file. Throws Error: file, unsupported (all unknown ops are listed), usage, requirement.
INTAGLIO_API Model compile(const std::string& path, const CompileOptions& options = {});
INTAGLIO_API Expected<Model> try_compile(const std::string& path, const CompileOptions& options = {});

// Maps a plan file. Milliseconds: weights are not read. Throws Error: file, usage, requirement.
INTAGLIO_API Model load(const std::string& path, const LoadOptions& options = {});
INTAGLIO_API Expected<Model> try_load(const std::string& path, const LoadOptions& options = {});

// load for a plan file (by its content), compile for anything else.
INTAGLIO_API Model open(const std::string& path, const CompileOptions& options = {});

struct AccuracyOptions {
  // Only steps whose node or op this names: a part of the name, or a pattern with * and ?. Empty: all.
  std::string layers;
  // Memory for values that are kept for comparison; the reference may use as much once more.
  std::size_t max_bytes = std::size_t{8} << 30;
};
// Told what the compiled model takes, gives the inputs by name, as Model::run wants them.
using MakeInputs = std::function<std::vector<NamedTensor>(const std::vector<PortInfo>& ports)>;
// Compiles a .onnx or .pt2 file, runs it on one thread, and compares what every step writes with what a slow
// interpreter computes of the file's graph, before any optimisation, in float64. Thousands of times slower than a run.
// Throws Error: as compile and Model::run; usage if `layers` names no step, or for a plan, which has no graph;
// unsupported if max_bytes is not enough; and what `make_inputs` throws.
INTAGLIO_API AccuracyReport accuracy(const std::string& path, const CompileOptions& options,
                                     const MakeInputs& make_inputs, const AccuracyOptions& wish = {});

}  // namespace v1
}  // namespace intaglio
