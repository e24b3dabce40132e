#include "ops/copy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "ops/fill.h"
#include "ops/simple_candidate.h"
#include "ops/strided.h"
#include "ops/work.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_copy_descriptor();
void add_copy_candidates(std::vector<const Candidate*>& out);

namespace {

struct CopyBinding final : Binding {
  std::size_t element = 0;
  std::vector<StridedCopy> copies;
  std::uint64_t fill = 0;  // the fill element's bytes
};

Status bad(std::string message) {
  return fail(ErrorCode::usage, std::move(message));
}

// A distance in elements. It fits wherever an element is copied; an empty tensor with huge dims must not overflow
// either.
std::int64_t elements(std::int64_t count, std::int64_t stride) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(count) * static_cast<std::uint64_t>(stride));
}

// Fills dims and destination strides from the output's shape.
StridedCopy whole_output(const Operand& output) {
  StridedCopy copy;
  copy.rank = static_cast<int>(output.shape.size());
  const auto strides = row_major_strides(output.shape);
  std::ranges::copy(output.shape, copy.dims.begin());
  std::ranges::copy(strides, copy.dst_stride.begin());
  return copy;
}

class Planner {
 public:
  Planner(const CopyDescriptor& descriptor, const BindRequest& request, CopyBinding& binding)
      : descriptor_(descriptor), request_(request), output_(request.outputs[0]), binding_(binding) {}

  Status plan() {
    switch (descriptor_.kind) {
      case CopyKind::transpose:
        return transpose();
      case CopyKind::expand:
        return expand();
      case CopyKind::slice:
        return slice();
      case CopyKind::concat:
        return concat();
      case CopyKind::pad:
        return pad();
    }
    return bad("unknown kind of copy");
  }

 private:
  const Operand& input(std::size_t i = 0) const { return request_.inputs[i]; }

  Status transpose() {
    StridedCopy copy = whole_output(output_);
    const auto strides = row_major_strides(input().shape);
    if (descriptor_.perm.size() != input().shape.size() || output_.shape.size() != input().shape.size()) {
      return bad("the permutation does not match the rank");
    }
    for (std::size_t i = 0; i < descriptor_.perm.size(); ++i) {
      const auto from = static_cast<std::size_t>(descriptor_.perm[i]);
      if (from >= strides.size() || output_.shape[i] != input().shape[from])
        return bad("the output does not match the permutation");
      copy.src_stride[i] = strides[from];
    }
    binding_.copies.push_back(copy);
    return {};
  }

  Status expand() {
    StridedCopy copy = whole_output(output_);
    const auto strides = row_major_strides(input().shape);
    if (input().shape.size() > output_.shape.size()) return bad("expand cannot drop dims");
    const std::size_t lead = output_.shape.size() - input().shape.size();
    for (std::size_t i = 0; i < input().shape.size(); ++i) {
      const std::int64_t from = input().shape[i];
      if (from != 1 && from != output_.shape[lead + i]) {
        return bad(fmt::format("cannot expand {} to {}", to_string(input().shape), to_string(output_.shape)));
      }
      copy.src_stride[lead + i] = from == 1 ? 0 : strides[i];
    }
    binding_.copies.push_back(copy);
    return {};
  }

  Status slice() {
    StridedCopy copy = whole_output(output_);
    const auto strides = row_major_strides(input().shape);
    const std::size_t count = descriptor_.axes.size();
    if (request_.params.size() != 2 * count || output_.shape.size() != input().shape.size())
      return bad("a slice lacks its bounds");
    std::ranges::copy(strides, copy.src_stride.begin());
    Shape expected = input().shape;
    for (std::size_t i = 0; i < count; ++i) {
      const auto axis = static_cast<std::size_t>(descriptor_.axes[i]);
      if (axis >= expected.size()) return bad("a slice's axis is outside the rank");
      const std::int64_t step = descriptor_.steps[i];
      const std::int64_t start = request_.params[i];
      const std::int64_t end = request_.params[count + i];
      const std::int64_t dim = input().shape[axis];
      const bool empty = step > 0 ? start >= end : start <= end;
      std::int64_t span = 0;
      const bool reaches = !empty && !__builtin_sub_overflow(std::max(start, end), std::min(start, end), &span);
      const std::int64_t length = reaches ? (span - 1) / std::abs(step) + 1 : 0;
      // The product is at most the span, the sum lies between start and end.
      const std::int64_t last = start + (length > 0 ? (length - 1) * step : 0);
      if (!empty && (!reaches || start < 0 || start >= dim || last < 0 || last >= dim)) {
        return bad(
            fmt::format("slice {}:{}:{} is outside dim {} of {}", start, end, step, axis, to_string(input().shape)));
      }
      expected[axis] = length;
      copy.src_offset += length > 0 ? elements(start, strides[axis]) : 0;
      copy.src_stride[axis] = elements(step, strides[axis]);
    }
    if (expected != output_.shape)
      return bad(fmt::format("the slice has shape {}, not {}", to_string(expected), to_string(output_.shape)));
    binding_.copies.push_back(copy);
    return {};
  }

  Status concat() {
    const auto axis = static_cast<std::size_t>(descriptor_.axis);
    if (axis >= output_.shape.size()) return bad("concat's axis is outside the rank");
    const auto strides = row_major_strides(output_.shape);
    std::int64_t position = 0;
    for (std::size_t i = 0; i < request_.inputs.size(); ++i) {
      Shape expected = output_.shape;
      if (input(i).shape.size() != expected.size()) return bad("the parts of a concat differ in rank");
      expected[axis] = input(i).shape[axis];
      if (expected != input(i).shape || input(i).dtype != output_.dtype) {
        return bad(
            fmt::format("part {} of shape {} does not fit {}", i, to_string(input(i).shape), to_string(output_.shape)));
      }
      StridedCopy copy = whole_output(output_);
      copy.source = static_cast<int>(i);
      std::ranges::copy(input(i).shape, copy.dims.begin());
      std::ranges::copy(row_major_strides(input(i).shape), copy.src_stride.begin());
      copy.dst_offset = elements(position, strides[axis]);
      if (__builtin_add_overflow(position, input(i).shape[axis], &position))
        return bad("the parts of a concat do not add up");
      binding_.copies.push_back(copy);
    }
    if (position != output_.shape[axis]) return bad("the parts of a concat do not add up to the output");
    return {};
  }

  // Fills everything, then copies the middle: pads are small, and one phase cannot write an element twice from two
  // threads, so the fill is its own phase (see run).
  Status pad() {
    const std::size_t rank = input().shape.size();
    if (request_.params.size() != rank || output_.shape.size() != rank) return bad("a pad lacks its amounts");
    StridedCopy fill = whole_output(output_);
    fill.source = -1;
    StridedCopy middle = whole_output(output_);
    const auto strides = row_major_strides(input().shape);
    for (std::size_t axis = 0; axis < rank; ++axis) {
      // A negative amount crops.
      const std::int64_t before = request_.params[axis];
      if (before < -input().shape[axis] || before > output_.shape[axis]) {
        return bad(fmt::format("a pad of {} does not fit between dim {} of {} and {}", before, axis,
                               to_string(input().shape), to_string(output_.shape)));
      }
      const std::int64_t crop = before < 0 ? -before : 0;
      const std::int64_t begin = before < 0 ? 0 : before;
      middle.dims[axis] = std::min(input().shape[axis] - crop, output_.shape[axis] - begin);
      middle.src_stride[axis] = strides[axis];
      middle.src_offset += elements(crop, strides[axis]);
      middle.dst_offset += elements(begin, fill.dst_stride[axis]);
    }
    binding_.copies = {fill, middle};
    binding_.phases = 2;
    binding_.fill = element_bits(descriptor_.value, output_.dtype);
    return {};
  }

  const CopyDescriptor& descriptor_;
  const BindRequest& request_;
  const Operand& output_;
  CopyBinding& binding_;
};

class PreparedCopy final : public PreparedOp {
 public:
  PreparedCopy(CopyDescriptor descriptor, const Target&) : descriptor_(std::move(descriptor)) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    if (request.inputs.empty() || request.outputs.size() != 1)
      return fail(ErrorCode::usage, "a copy has inputs and one output");
    for (const Operand& operand : request.inputs) {
      if (operand.dtype != request.outputs[0].dtype) return fail(ErrorCode::usage, "a copy cannot change the dtype");
    }
    auto binding = std::make_unique<CopyBinding>();
    binding->element = size_of(request.outputs[0].dtype);
    INTAGLIO_CHECK(Planner(descriptor_, request, *binding).plan());
    for (StridedCopy& copy : binding->copies) collapse(copy);
    INTAGLIO_TRY(const std::size_t bytes, byte_count(request.outputs[0].shape, request.outputs[0].dtype));
    // Of an input no more than what the output shows of it, and no more than there is: repeats are read once.
    const auto written = static_cast<double>(bytes);
    for (const Operand& input : request.inputs) binding->bytes += bytes_of(input);
    binding->bytes = written + std::min(binding->bytes, written);
    for (const StridedCopy& copy : binding->copies) {
      const StridedCopy::Work work = copy.work(binding->element);
      if (work.items >= binding->split.total)
        binding->split = {work.elements ? "elements" : "rows", work.items, work.grain};
    }
    return std::unique_ptr<const Binding>(std::move(binding));
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const CopyBinding&>(base);
    for (std::size_t i = 0; i < binding.copies.size(); ++i) {
      if (binding.phases > 1 && static_cast<int>(i) != worker.phase) continue;
      const StridedCopy& copy = binding.copies[i];
      const StridedCopy::Work work = copy.work(binding.element);
      const Range range = share_of(work.items, work.grain, worker);
      const void* input = copy.source < 0 ? nullptr : args.inputs[copy.source];
      if (range.begin < range.end)
        run_strided(copy, binding.element, input, args.outputs[0], &binding.fill, range.begin, range.end);
    }
    return RunStatus::ok;
  }

  Facts facts() const override {
    constexpr std::string_view kNames[] = {"transpose", "expand", "slice", "concat", "pad"};
    return {fmt::format("copy_{}", kNames[static_cast<std::size_t>(descriptor_.kind)]), "scalar", ""};
  }

 private:
  CopyDescriptor descriptor_;
};

}  // namespace

void CopyDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, kCopyKinds);
  visitor.field("perm", perm);
  visitor.field("axes", axes);
  visitor.field("steps", steps);
  visitor.field("axis", axis);
  visitor.field("value", value);
}

Status CopyDescriptor::validate() const {
  const auto outside = [](std::int64_t i) { return i < 0 || i >= kMaxRank; };
  if (std::ranges::any_of(perm, outside) || std::ranges::any_of(axes, outside) || outside(axis)) {
    return fail(ErrorCode::file, "a copy has an axis outside the supported rank");
  }
  if (axes.size() != steps.size() || std::ranges::count(steps, 0) != 0)
    return fail(ErrorCode::file, "a slice has illegal steps");
  if (std::ranges::any_of(steps, [](std::int64_t step) { return step == INT64_MIN; }))
    return fail(ErrorCode::file, "a slice has an illegal step");
  std::vector<std::int64_t> sorted = perm;
  std::ranges::sort(sorted);
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    if (sorted[i] != static_cast<std::int64_t>(i))
      return fail(ErrorCode::file, "a transpose has an illegal permutation");
  }
  return {};
}

std::unique_ptr<Descriptor> make_copy_descriptor() {
  return std::make_unique<CopyDescriptor>();
}

void add_copy_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<CopyDescriptor, PreparedCopy> candidate("intaglio.copy", "copy");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
