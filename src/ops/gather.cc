#include "ops/gather.h"

#include <fmt/format.h>

#include <array>
#include <cstring>

#include "ops/simple_candidate.h"
#include "ops/work.h"

namespace intaglio::ops {

std::unique_ptr<Descriptor> make_gather_descriptor();
void add_gather_candidates(std::vector<const Candidate*>& out);

namespace {

// All three are: for each item of the output, `parts` indices select a slab of `slab` bytes in the data.
struct GatherBinding final : Binding {
  bool wide = true;        // indices are i64, else i32
  std::int64_t items = 0;  // slabs in the output
  std::size_t slab = 0;    // bytes of one
  // gather: item = (outer, index); elements: item = one element; nd: item = one index tuple.
  std::int64_t inner = 1;       // gather: indices per outer; nd: tuples per batch
  std::int64_t limit = 0;       // gather, elements: the size of the indexed axis
  std::size_t outer_bytes = 0;  // gather: of one outer slice of data; nd: of one batch
  // elements
  int rank = 0;
  std::array<std::int64_t, kMaxRank> index_dims{}, data_strides{};
  int axis = 0;
  // nd
  int parts = 0;
  std::array<std::int64_t, kMaxRank> limits{};
  std::array<std::size_t, kMaxRank> part_bytes{};
};

// Wraps a negative index once; -1 if it is out of range.
std::int64_t wrap(std::int64_t index, std::int64_t limit) {
  if (index < 0) index += limit;
  return index >= 0 && index < limit ? index : -1;
}

std::int64_t product(const Shape& shape, std::size_t begin, std::size_t end) {
  std::uint64_t out = 1;  // unsigned: beside a dim of 0 the others may not fit, and nothing is read then
  for (std::size_t i = begin; i < end; ++i) out *= static_cast<std::uint64_t>(shape[i]);
  return static_cast<std::int64_t>(out);
}

Status misfit(std::string_view what, const Operand& data, const Operand& indices) {
  return fail(ErrorCode::usage,
              fmt::format("{}: data {}, indices {}", what, to_string(data.shape), to_string(indices.shape)));
}

class PreparedGather final : public PreparedOp {
 public:
  PreparedGather(GatherDescriptor descriptor, const Target&) : descriptor_(descriptor) {}

  Result<std::unique_ptr<const Binding>> bind(const BindRequest& request) const override {
    if (request.inputs.size() != 2 || request.outputs.size() != 1)
      return fail(ErrorCode::usage, "a gather has two inputs and one output");
    const Operand& data = request.inputs[0];
    const Operand& indices = request.inputs[1];
    if (data.dtype != request.outputs[0].dtype) return fail(ErrorCode::usage, "a gather cannot change the dtype");
    if (indices.dtype != DType::i64 && indices.dtype != DType::i32)
      return fail(ErrorCode::usage, "indices must be i64 or i32");
    GatherBinding binding;
    binding.wide = indices.dtype == DType::i64;
    switch (descriptor_.kind) {
      case GatherKind::gather:
        INTAGLIO_CHECK(bind_gather(data, indices, binding));
        break;
      case GatherKind::elements:
        INTAGLIO_CHECK(bind_elements(data, indices, binding));
        break;
      case GatherKind::nd:
        INTAGLIO_CHECK(bind_nd(data, indices, binding));
        break;
    }
    INTAGLIO_TRY(const std::size_t bytes, byte_count(request.outputs[0].shape, request.outputs[0].dtype));
    if (bytes != static_cast<std::size_t>(binding.items) * binding.slab)
      return fail(misfit("the output does not fit", data, indices).error());
    // Rows of the table that are taken, not the table.
    binding.bytes =
        bytes_of(indices) + static_cast<double>(bytes) + std::min(bytes_of(data), static_cast<double>(bytes));
    binding.split = {"rows", binding.items, binding.slab >= 256 ? 1 : 64};
    const Division split{.units = binding.items, .grain = binding.split.grain, .item_bytes = binding.slab};
    binding.touches = {reads(0, 0), reads(1, 0), writes(0, 0, split)};
    return bound(std::move(binding));
  }

  RunStatus run(const Binding& base, const RunArgs& args, const Worker& worker) const noexcept override {
    const auto& binding = static_cast<const GatherBinding&>(base);
    const Range range = share_of(binding.items, binding.split.grain, worker);
    const auto* data = static_cast<const std::byte*>(args.inputs[0]);
    auto* out = static_cast<std::byte*>(args.outputs[0]);
    RunStatus status = RunStatus::ok;
    for (std::int64_t item = range.begin; item < range.end; ++item) {
      std::size_t offset = 0;
      std::byte* target = out + static_cast<std::size_t>(item) * binding.slab;
      if (locate(binding, args.inputs[1], item, offset)) {
        if (binding.slab == 0) continue;
        std::memcpy(target, data + offset, binding.slab);
      } else {
        if (binding.slab != 0) std::memset(target, 0, binding.slab);
        status = RunStatus::index_out_of_range;
      }
    }
    return status;
  }

  Facts facts() const override {
    constexpr std::string_view kNames[] = {"gather", "gather_elements", "gather_nd"};
    return {std::string(kNames[static_cast<std::size_t>(descriptor_.kind)]), "scalar", ""};
  }

 private:
  Status bind_gather(const Operand& data, const Operand& indices, GatherBinding& binding) const {
    const auto axis = static_cast<std::size_t>(descriptor_.axis);
    if (axis >= data.shape.size()) return misfit("the axis is outside the data's rank", data, indices);
    binding.limit = data.shape[axis];
    binding.inner = product(indices.shape, 0, indices.shape.size());
    binding.items = product(data.shape, 0, axis) * binding.inner;
    binding.slab = static_cast<std::size_t>(product(data.shape, axis + 1, data.shape.size())) * size_of(data.dtype);
    binding.outer_bytes = static_cast<std::size_t>(binding.limit) * binding.slab;
    return {};
  }

  Status bind_elements(const Operand& data, const Operand& indices, GatherBinding& binding) const {
    const auto axis = static_cast<std::size_t>(descriptor_.axis);
    if (axis >= data.shape.size() || indices.shape.size() != data.shape.size())
      return misfit("ranks must agree", data, indices);
    const auto strides = row_major_strides(data.shape);
    binding.rank = static_cast<int>(data.shape.size());
    binding.axis = static_cast<int>(axis);
    binding.limit = data.shape[axis];
    for (std::size_t i = 0; i < data.shape.size(); ++i) {
      if (i != axis && indices.shape[i] > data.shape[i])
        return misfit("the indices are larger than the data", data, indices);
      binding.index_dims[i] = indices.shape[i];
      binding.data_strides[i] = strides[i];
    }
    binding.items = product(indices.shape, 0, indices.shape.size());
    binding.slab = size_of(data.dtype);
    return {};
  }

  Status bind_nd(const Operand& data, const Operand& indices, GatherBinding& binding) const {
    const auto batch = static_cast<std::size_t>(descriptor_.batch_dims);
    if (indices.shape.empty() || batch >= indices.shape.size() || batch > data.shape.size())
      return misfit("batch_dims is too large", data, indices);
    const auto parts = static_cast<std::size_t>(indices.shape.back());
    if (parts > data.shape.size() - batch) return misfit("index tuples are longer than the data's rank", data, indices);
    for (std::size_t i = 0; i < batch; ++i) {
      if (data.shape[i] != indices.shape[i]) return misfit("batch dims differ", data, indices);
    }
    binding.parts = static_cast<int>(parts);
    binding.inner = product(indices.shape, batch, indices.shape.size() - 1);
    binding.items = product(indices.shape, 0, batch) * binding.inner;
    binding.slab =
        static_cast<std::size_t>(product(data.shape, batch + parts, data.shape.size())) * size_of(data.dtype);
    std::size_t bytes = binding.slab;
    for (std::size_t i = parts; i-- > 0;) {
      binding.limits[i] = data.shape[batch + i];
      binding.part_bytes[i] = bytes;
      bytes *= static_cast<std::size_t>(data.shape[batch + i]);
    }
    binding.outer_bytes = bytes;
    return {};
  }

  static std::int64_t index_at(const GatherBinding& binding, const void* indices, std::int64_t position) {
    if (binding.wide) return static_cast<const std::int64_t*>(indices)[position];
    return static_cast<const std::int32_t*>(indices)[position];
  }

  // The byte offset of an item's slab in the data; false when an index is out of range.
  bool locate(const GatherBinding& binding, const void* indices, std::int64_t item, std::size_t& offset) const {
    switch (descriptor_.kind) {
      case GatherKind::gather: {
        const std::int64_t index = wrap(index_at(binding, indices, item % binding.inner), binding.limit);
        offset = static_cast<std::size_t>(item / binding.inner) * binding.outer_bytes +
                 static_cast<std::size_t>(index) * binding.slab;
        return index >= 0;
      }
      case GatherKind::elements:
        return locate_element(binding, indices, item, offset);
      case GatherKind::nd:
        break;
    }
    offset = static_cast<std::size_t>(item / binding.inner) * binding.outer_bytes;
    for (int i = 0; i < binding.parts; ++i) {
      const auto part = static_cast<std::size_t>(i);
      const std::int64_t index = wrap(index_at(binding, indices, item * binding.parts + i), binding.limits[part]);
      if (index < 0) return false;
      offset += static_cast<std::size_t>(index) * binding.part_bytes[part];
    }
    return true;
  }

  static bool locate_element(const GatherBinding& binding, const void* indices, std::int64_t item,
                             std::size_t& offset) {
    const std::int64_t index = wrap(index_at(binding, indices, item), binding.limit);
    if (index < 0) return false;
    std::int64_t position = 0;
    std::int64_t rest = item;
    for (int axis = binding.rank - 1; axis >= 0; --axis) {
      const auto i = static_cast<std::size_t>(axis);
      const std::int64_t at = axis == binding.axis ? index : rest % binding.index_dims[i];
      rest /= binding.index_dims[i];
      position += at * binding.data_strides[i];
    }
    offset = static_cast<std::size_t>(position) * binding.slab;
    return true;
  }

  GatherDescriptor descriptor_;
};

}  // namespace

void GatherDescriptor::fields(FieldVisitor& visitor) {
  visitor.choice("kind", kind, kGatherKinds);
  visitor.field("axis", axis);
  visitor.field("batch_dims", batch_dims);
}

Status GatherDescriptor::validate() const {
  if (axis < 0 || axis >= kMaxRank || batch_dims < 0 || batch_dims >= kMaxRank) {
    return fail(ErrorCode::file, "a gather has an axis outside the supported rank");
  }
  return {};
}

std::unique_ptr<Descriptor> make_gather_descriptor() {
  return std::make_unique<GatherDescriptor>();
}

void add_gather_candidates(std::vector<const Candidate*>& out) {
  static const SimpleCandidate<GatherDescriptor, PreparedGather> candidate("intaglio.gather", "gather");
  out.push_back(&candidate);
}

}  // namespace intaglio::ops
