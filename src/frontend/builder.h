// Sugar over ir::Graph that both frontends share. Every helper takes operands that may already be errors and hands the
// first error on, so that compositions nest: b.mul(b.sigmoid(x), x). Nothing here throws; a Builder belongs to one
// import.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dim.h"
#include "base/dtype.h"
#include "base/error.h"
#include "ir/graph.h"

namespace intaglio::frontend {

// An operand or a result. A plain ir::Value* converts to it; nullptr stands for an absent optional operand.
using MaybeValue = Result<ir::Value*>;

// ---- reasoning with symbolic dims; `ranges` are the graph's declared ranges
// True only if the relation holds for every value of the symbols; false means "not proved".
bool provably_at_most(const Dim& a, const Dim& b, const SymbolRanges& ranges);  // a <= b
bool provably_less(const Dim& a, const Dim& b, const SymbolRanges& ranges);     // a < b
// min and max without an atom where the ranges decide: min(seq, 512) is seq for seq in [1, 512].
Dim smallest(const Dim& a, const Dim& b, const SymbolRanges& ranges);
Dim largest(const Dim& a, const Dim& b, const SymbolRanges& ranges);

// One axis of a slice as Python, ONNX and ATen write it: negative positions count from the end, positions past the end
// are clamped, an absent end means "to the end in the direction of step".
struct SliceSpec {
  std::int64_t axis = 0;  // may be negative
  std::optional<Dim> start;
  std::optional<Dim> end;
  std::int64_t step = 1;
};
struct SliceBounds {
  Dim start, end;
};
// The bounds in the IR's normalised form (ir/ops.inc, slice). Errors (unsupported): step 0, a symbolic position whose
// sign the ranges do not decide.
Result<SliceBounds> normalise_slice(const SliceSpec& spec, const Dim& size, const SymbolRanges& ranges);

// axis in [-rank, rank) to [0, rank). Error (file) otherwise.
Result<std::int64_t> normalise_axis(std::int64_t axis, std::int64_t rank);
// The same for a list; sorted, without duplicates (a duplicate is an error).
Result<std::vector<std::int64_t>> normalise_axes(std::span<const std::int64_t> axes, std::int64_t rank);

// Resolves at most one -1 in `target` from the element count of `from`; other negative constants are errors (file).
// With `zero_copies` (ONNX without allowzero) a constant 0 takes the dim of `from` at its place. A quotient that cannot
// be proved exact becomes a floordiv; reshape's own guard then checks the counts at run time.
Result<Dims> resolve_reshape(std::span<const Dim> from, std::span<const Dim> target, bool zero_copies);

// The dtype that both operands of mixed precision meet in by ATen's promotion of tensors (bool < integers < floats).
DType promote(DType a, DType b);
// The smallest and largest finite values as doubles (bool: 0 and 1).
double lowest_of(DType t);
double highest_of(DType t);

// A scalar or vector constant of any dtype; values are converted with a cast's rules, out of range saturates.
Result<ir::Tensor> make_tensor(DType dtype, Shape shape, std::span<const double> values);
// Exact for integers of 64 bits.
Result<ir::Tensor> make_int_tensor(DType dtype, Shape shape, std::span<const std::int64_t> values);

class Builder {
 public:
  explicit Builder(ir::Graph& graph) : graph_(graph) {}
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;

  ir::Graph& graph() { return graph_; }
  const SymbolRanges& ranges() const { return graph_.symbols; }

  // The origin and the name hint of all nodes that follow.
  void set_origin(ir::Origin origin) { origin_ = std::move(origin); }
  const ir::Origin& origin() const { return origin_; }
  void set_name_hint(std::string hint) { name_hint_ = std::move(hint); }

  // Declares a symbol (keeps the tighter of two ranges) and returns it as a Dim.
  Dim declare_symbol(std::string_view name, SymbolRange range = {});

  // ---- any op
  Result<ir::Node*> node(ir::Op op, std::initializer_list<MaybeValue> inputs, ir::Attrs attrs = {});
  Result<ir::Node*> node(ir::Op op, std::span<const MaybeValue> inputs, ir::Attrs attrs = {});
  MaybeValue op(ir::Op op, std::initializer_list<MaybeValue> inputs, ir::Attrs attrs = {});
  MaybeValue op(ir::Op op, std::span<const MaybeValue> inputs, ir::Attrs attrs = {});

  // ---- constants
  MaybeValue constant(Result<ir::Tensor> tensor, std::string_view hint = "c");
  MaybeValue scalar(double value, DType dtype);                                     // rank 0
  MaybeValue scalar_like(double value, const MaybeValue& x);                        // rank 0, dtype of x
  MaybeValue ints(std::span<const std::int64_t> values, DType dtype = DType::i64);  // rank 1

  // ---- elementwise; binary helpers want equal dtypes
  MaybeValue add(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::add, {a, b}); }
  MaybeValue sub(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::sub, {a, b}); }
  MaybeValue mul(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::mul, {a, b}); }
  MaybeValue div(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::div, {a, b}); }
  MaybeValue pow(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::pow, {a, b}); }
  MaybeValue minimum(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::minimum, {a, b}); }
  MaybeValue maximum(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::maximum, {a, b}); }
  MaybeValue add(const MaybeValue& a, double b) { return add(a, scalar_like(b, a)); }
  MaybeValue mul(const MaybeValue& a, double b) { return mul(a, scalar_like(b, a)); }
  MaybeValue div(const MaybeValue& a, double b) { return div(a, scalar_like(b, a)); }
  MaybeValue neg(const MaybeValue& x) { return op(ir::Op::neg, {x}); }
  MaybeValue sqrt(const MaybeValue& x) { return op(ir::Op::sqrt, {x}); }
  MaybeValue rsqrt(const MaybeValue& x) { return op(ir::Op::rsqrt, {x}); }
  MaybeValue tanh(const MaybeValue& x) { return op(ir::Op::tanh, {x}); }
  MaybeValue sigmoid(const MaybeValue& x) { return op(ir::Op::sigmoid, {x}); }
  MaybeValue logical_not(const MaybeValue& x) { return op(ir::Op::logical_not, {x}); }
  MaybeValue logical_and(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::logical_and, {a, b}); }
  MaybeValue where(const MaybeValue& c, const MaybeValue& a, const MaybeValue& b) {
    return op(ir::Op::where, {c, a, b});
  }
  MaybeValue cast(const MaybeValue& x, DType to);  // x itself if it has that dtype

  // ---- movement; each returns x itself where nothing changes
  MaybeValue reshape(const MaybeValue& x, Dims shape);
  MaybeValue transpose(const MaybeValue& x, std::vector<std::int64_t> perm);
  MaybeValue swap_axes(const MaybeValue& x, std::int64_t a, std::int64_t b);  // may be negative
  MaybeValue expand(const MaybeValue& x, Dims shape);                         // to exactly `shape`
  // ONNX Expand: to the broadcast of x's shape and `shape`.
  MaybeValue broadcast_with(const MaybeValue& x, std::span<const Dim> shape);
  MaybeValue slice(const MaybeValue& x, std::span<const SliceSpec> specs);
  MaybeValue slice(const MaybeValue& x, SliceSpec spec) { return slice(x, std::span<const SliceSpec>(&spec, 1)); }
  MaybeValue select(const MaybeValue& x, std::int64_t axis, Dim index);           // x[..., index, ...] without the axis
  MaybeValue concat(std::span<const MaybeValue> parts, std::int64_t axis);        // one part: itself
  MaybeValue unsqueeze(const MaybeValue& x, std::span<const std::int64_t> axes);  // positions in the result
  MaybeValue squeeze(const MaybeValue& x,
                     std::span<const std::int64_t> axes);  // dims must be 1 (or not provably other)
  MaybeValue flatten(const MaybeValue& x, std::int64_t first, std::int64_t last);  // dims first..last become one
  // Consecutive pieces of the given sizes along axis.
  Result<std::vector<ir::Value*>> split(const MaybeValue& x, std::span<const Dim> sizes, std::int64_t axis);
  MaybeValue gather(const MaybeValue& data, const MaybeValue& indices, std::int64_t axis);

  // ---- reductions, products
  MaybeValue reduce(std::string_view kind, const MaybeValue& x, std::vector<std::int64_t> axes, bool keepdims);
  MaybeValue softmax(const MaybeValue& x, std::int64_t axis, bool log = false);
  MaybeValue matmul(const MaybeValue& a, const MaybeValue& b) { return op(ir::Op::matmul, {a, b}); }

  // ---- creation
  MaybeValue iota(Dim count, DType to, Dim start = 0, Dim step = 1);  // 1-D; any integer or float dtype
  MaybeValue full(Dims shape, double value, DType to);
  // A list of dims as i64[n] data: a constant if all are, else the `dims` op.
  MaybeValue dims_tensor(std::span<const Dim> dims, DType to = DType::i64);
  MaybeValue dim_scalar(const Dim& dim, DType to = DType::i64);  // rank 0

 private:
  ir::Graph& graph_;
  ir::Origin origin_;
  std::string name_hint_;
};

}  // namespace intaglio::frontend
