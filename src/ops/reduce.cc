#include "ops/reduce.h"

#include <fmt/format.h>

#include <algorithm>

#include "ops/reduce_loops.h"
#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_reduce_descriptor();
void add_reduce_candidates(std::vector<const Candidate*>& out);

namespace {

constexpr std::string_view kNames[] = {"sum",        "mean",    "max",         "min", "prod", "l1",     "l2",
                                       "sum_square", "log_sum", "log_sum_exp", "any", "all",  "argmax", "cumsum"};
static_assert(std::size(kNames) == kReduceKinds);

struct ReduceBinding final : Binding {
  ReduceLoops loops;
};

// Appends a dim, merged with the one before it when the two are contiguous.
void append(std::int64_t dim, std::int64_t stride, int& rank, std::array<std::int64_t, kMaxRank>& dims,
            std::array<std::int64_t, kMaxRank>& strides) {
  if (dim == 1) return;
  std::int64_t span = 0;
  std::int64_t merged = 0;
  const bool fits = !__builtin_mul_overflow(dim, stride, &span) &&
                    (rank == 0 || !__builtin_mul_overflow(dims[static_cast<std::size_t>(rank - 1)], dim, &merged));
  if (rank > 0 && fits && strides[static_cast<std::size_t>(rank - 1)] == span) {
    dims[static_cast<std::size_t>(rank - 1)] = merged;
    strides[static_cast<std::size_t>(rank - 1)] = stride;
    return;
  }
  dims[static_cast<std::size_t>(rank)] = dim;
  strides[static_cast<std::size_t>(rank)] = stride;
  ++rank;
}

class PreparedReduce final : public PreparedOp {
 public:
  PreparedReduce(ReduceDescriptor descriptor, const Target&) : descriptor_(std::move(descriptor)) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    if (request.inputs.size() != 1 || request.outputs.size() != 1)
      return fail(ErrorCode::usage, "a reduction has one input and one output");
    const Operand& x = request.inputs[0];
    ReduceBinding binding;
    ReduceLoops& loops = binding.loops;
    loops.kind = descriptor_.kind;
    loops.dtype = x.dtype;
    loops.take_last = descriptor_.take_last;
    loops.smallest = descriptor_.smallest;
    loops.exclusive = descriptor_.exclusive;
    loops.reverse = descriptor_.reverse;
    const auto strides = row_major_strides(x.shape);
    Shape kept_shape;
    Shape reduced_shape;
    for (std::size_t axis = 0; axis < x.shape.size(); ++axis) {
      const bool reduced = std::ranges::count(descriptor_.axes, static_cast<std::int64_t>(axis)) != 0;
      if (reduced)
        append(x.shape[axis], strides[axis], loops.reduced_rank, loops.reduced_dims, loops.reduced_strides);
      else
        append(x.shape[axis], strides[axis], loops.kept_rank, loops.kept_dims, loops.kept_strides);
      (reduced ? reduced_shape : kept_shape).push_back(x.shape[axis]);
    }
    INTAGLIO_TRY(loops.kept, element_count(kept_shape));
    const auto reduced = element_count(reduced_shape);
    if (!reduced && loops.kept != 0) return fail(reduced.error());
    loops.reduced = reduced.value_or(0);
    for (std::int64_t axis : descriptor_.axes) {
      if (axis >= static_cast<std::int64_t>(x.shape.size()))
        return fail(ErrorCode::usage, "an axis is outside the rank of " + to_string(x.shape));
    }
    const bool truth = descriptor_.kind == ReduceKind::any || descriptor_.kind == ReduceKind::all;
    if (truth && x.dtype != DType::boolean) return fail(ErrorCode::usage, "any and all want truth values");
    const DType result = descriptor_.kind == ReduceKind::argmax ? DType::i64 : x.dtype;
    if (request.outputs[0].dtype != result) {
      return fail(ErrorCode::usage,
                  fmt::format("the output is {}, not {}", name_of(request.outputs[0].dtype), name_of(result)));
    }
    const bool logarithm = descriptor_.kind == ReduceKind::log_sum || descriptor_.kind == ReduceKind::log_sum_exp;
    if (logarithm && !is_floating(x.dtype))
      return fail(ErrorCode::usage, "logarithms of sums want floating-point elements");
    if (descriptor_.kind == ReduceKind::argmax && loops.reduced == 0 && loops.kept != 0) {
      return fail(ErrorCode::usage, "the largest of no elements does not exist: " + to_string(x.shape));
    }
    INTAGLIO_TRY(const std::int64_t outputs, element_count(request.outputs[0].shape));
    if (outputs != (descriptor_.kind == ReduceKind::cumsum ? loops.kept * loops.reduced : loops.kept)) {
      return fail(ErrorCode::usage,
                  "the output " + to_string(request.outputs[0].shape) + " does not fit " + to_string(x.shape));
    }
    INTAGLIO_CHECK(byte_count(x.shape, x.dtype));
    binding.flops = static_cast<double>(loops.kept) * static_cast<double>(loops.reduced);
    binding.bytes = operand_bytes(request);
    binding.split = {"results", loops.kept, 1};
    if (descriptor_.kind != ReduceKind::cumsum) {  // its elements of one thread lie apart
      const Division split{.units = loops.kept, .item_bytes = size_of(result)};
      binding.touches = {reads(0, 0), writes(0, 0, split)};
    }
    return bound(std::move(binding));
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& loops = static_cast<const ReduceBinding&>(base).loops;
    const Range range = share_of(loops.kept, 1, worker);
    if (range.begin < range.end) run_reduce(loops, args.inputs[0], args.outputs[0], range.begin, range.end);
    return RunStatus::ok;
  }

  Facts facts() const override { return {"reduce_" + std::string(name_of(descriptor_.kind)), "scalar", ""}; }

 private:
  ReduceDescriptor descriptor_;
};

}  // namespace

std::string_view name_of(ReduceKind kind) {
  return kNames[static_cast<std::size_t>(kind)];
}

std::optional<ReduceKind> parse_reduce_kind(std::string_view text) {
  const auto found = std::ranges::find(kNames, text);
  if (found == std::end(kNames)) return std::nullopt;
  return static_cast<ReduceKind>(found - std::begin(kNames));
}

void ReduceDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, kReduceKinds);
  visitor.field("axes", axes);
  visitor.field("take_last", take_last);
  visitor.field("smallest", smallest);
  visitor.field("exclusive", exclusive);
  visitor.field("reverse", reverse);
}

Status ReduceDescriptor::validate() const {
  const bool one = kind == ReduceKind::argmax || kind == ReduceKind::cumsum;
  if (one && axes.size() != 1) return fail(ErrorCode::file, "this reduction wants exactly one axis");
  if (std::ranges::any_of(axes, [](std::int64_t axis) { return axis < 0 || axis >= kMaxRank; })) {
    return fail(ErrorCode::file, "a reduction has an axis outside the supported rank");
  }
  return {};
}

std::unique_ptr<Descriptor> make_reduce_descriptor() {
  return std::make_unique<ReduceDescriptor>();
}

void add_reduce_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<ReduceDescriptor, PreparedReduce> candidate("intaglio.reduce", "reduce");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
