// The executable: a flat list of prepared steps over values, with symbolic shapes. Built by compile/, saved and loaded
// without the compiler. Immutable once built; shared by any number of contexts and threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/dim.h"
#include "base/dtype.h"
#include "base/error.h"
#include "ops/candidate.h"

namespace intaglio::plan {

using ValueId = std::uint32_t;
using DimId = std::uint32_t;  // into Plan::dims: every distinct expression is evaluated once per binding

enum class ValueKind : std::uint8_t {
  input,      // source: index of the input port
  constant,   // source: index of the blob that holds its bytes, row-major
  temporary,  // written by one step
  alias,      // source: the value whose bytes it shares (reshape)
};
inline constexpr int kValueKinds = 4;

struct PlanValue {
  std::string name;
  DType dtype = DType::f32;
  std::vector<DimId> shape;
  ValueKind kind = ValueKind::temporary;
  std::uint32_t source = 0;
};

struct Port {
  std::string name;
  ValueId value = 0;
};

inline constexpr std::uint32_t kNoProblem = UINT32_MAX;

struct Step {
  std::string node;    // origin: the model's node names ("a; b" when fused)
  std::string source;  // origin: source line, if known
  std::string op;      // the IR op, "linear"
  std::string candidate;
  std::shared_ptr<const ops::Descriptor> descriptor;
  std::vector<std::uint32_t> blobs;  // packed constants, in the candidate's order
  std::vector<ValueId> inputs, outputs;
  std::vector<DimId> params;
  std::shared_ptr<const ops::PreparedOp> prepared;
  // Steps of one group bind equal problems alike and share one binding: see assign_bind_groups().
  std::uint32_t bind_group = 0;
  // Steps of one problem are of one group and have operands of equal dtypes and dims, whatever the shapes: they share
  // their binding without a comparison of shapes.
  std::uint32_t problem = kNoProblem;
};

struct Guard {
  DimId a = 0, b = 0;
  std::string origin;
};

// What the compiler wants remembered for `explain`: kept in the plan so that a loaded plan can explain itself.
struct Fusion {
  std::string pattern;
  std::string node;
};
struct NearMiss {
  std::string pattern, node, reason;
};
struct Fallback {
  std::string node, reason;
};
// A linear that a rule of quantisation left in floating point.
struct KeptFloat {
  std::string rule, node;
};
struct Report {
  std::string model;   // file name without its folder
  std::string format;  // "onnx" or "pt2"
  std::int64_t model_nodes = 0;
  std::string dtype = "f32";      // of floating-point arithmetic
  std::string quantize = "none";  // "dynamic: token" and the like
  std::vector<Fusion> fusions;
  std::vector<NearMiss> near_misses;
  std::vector<Fallback> fallbacks;
  std::vector<KeptFloat> kept_float;
};

// What became of the wish to have packed weights on huge pages. Not saved: it is of this process.
struct HugeWeights {
  bool wanted = false;
  std::size_t bytes = 0;  // that were on huge pages when they had been moved
  std::string refused;    // why not all; empty if they are
};

struct Plan {
  std::vector<Dim> dims;
  SymbolRanges symbols;
  std::vector<Guard> guards;
  std::vector<PlanValue> values;
  std::vector<Port> inputs, outputs;
  std::vector<Step> steps;  // in execution order
  std::vector<ops::Blob> blobs;
  Report report;
  HugeWeights huge_weights;

  std::size_t weight_bytes() const;  // all blobs
};

// Checks every index, order and type promise of a plan (a loaded one may be hostile): values defined before use, blobs
// in range and large enough, aliases acyclic. Errors: file.
Status validate(const Plan& plan);

// The value that `id` is an alias of, through all aliases; itself if it is none. Precondition: validate().
ValueId root_of(const Plan& plan, ValueId id);

// Numbers the groups of steps with equal candidate, descriptor, and layouts and sizes of packed constants: what bind()
// may depend on beside its request (ops/prepared_op.h); and the problems, where the requests are equal too.
// Precondition: the blobs and values of every step exist.
void assign_bind_groups(Plan& plan);

}  // namespace intaglio::plan
