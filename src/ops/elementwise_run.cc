// Binding and running a program: tiles that stay in L1, every step over one tile before the next.
#include <fmt/format.h>

#include <cstring>

#include "ops/elementwise_op.h"
#include "ops/work.h"

namespace intaglio::ops {
namespace {

constexpr std::int64_t kTile = 1024;     // elements: 4 KiB of f32, a few values fit L1
constexpr std::int64_t kShortRow = 192;  // shorter rows are gathered into tiles of many rows

enum class Access : std::uint8_t {
  uniform,   // one element for everything
  direct,    // lies as the output does
  by_row,    // inner stride 0 or 1, outer strides arbitrary: a pointer per row (long rows)
  gathered,  // copied into a tile buffer (short rows)
};

struct ElementwiseBinding final : Binding {
  std::string blocking_text() const override {
    return fmt::format("{} tiles of {} over {}", tiles, kTile, to_string(loops.dims));
  }
  BroadcastLoops loops;
  std::vector<Access> access;       // of every operand
  std::vector<int> gather_slot;     // of gathered operands
  std::vector<bool> value_uniform;  // by_row operands of inner stride 0 count as uniform: they are, within a tile
  std::int64_t tiles_per_row = 0;   // long rows; 0: tiles run over rows
  std::int64_t tiles = 0;
};

// The position of a row in every operand.
struct RowWalk {
  std::int64_t index[kMaxRank];

  void seek(const BroadcastLoops& loops, std::int64_t row) {
    for (std::size_t d = loops.dims.size() - 1; d-- > 0;) {
      index[d] = row % loops.dims[d];
      row /= loops.dims[d];
    }
  }
  std::int64_t offset(const BroadcastLoops& loops, std::size_t operand) const {
    std::int64_t at = 0;
    for (std::size_t d = 0; d + 1 < loops.dims.size(); ++d) at += index[d] * loops.strides[operand][d];
    return at;
  }
  void next(const BroadcastLoops& loops) {
    for (std::size_t d = loops.dims.size() - 1; d-- > 0;) {
      if (++index[d] < loops.dims[d]) return;
      index[d] = 0;
    }
  }
};

template <class T>
void gather(const ElementwiseBinding& b, std::size_t operand, std::int64_t begin, std::int64_t count,
            const std::byte* from, std::byte* to) {
  const auto* data = reinterpret_cast<const T*>(from);
  auto* out = reinterpret_cast<T*>(to);
  const std::int64_t inner = b.loops.inner();
  const std::int64_t step = b.loops.strides[operand].back();
  RowWalk walk;
  walk.seek(b.loops, begin / inner);
  std::int64_t column = begin % inner;
  while (count > 0) {
    const std::int64_t n = std::min(count, inner - column);
    const T* row = data + walk.offset(b.loops, operand) + column * step;
    if (step == 0) {
      const T value = *row;
      for (std::int64_t i = 0; i < n; ++i) out[i] = value;
    } else {
      for (std::int64_t i = 0; i < n; ++i) out[i] = row[i];
    }
    out += n;
    count -= n;
    column = 0;
    walk.next(b.loops);
  }
}

void gather_tile(const ElementwiseBinding& b, std::size_t operand, std::size_t size, std::int64_t begin,
                 std::int64_t count, const std::byte* from, std::byte* to) {
  switch (size) {
    case 1:
      return gather<std::uint8_t>(b, operand, begin, count, from, to);
    case 2:
      return gather<std::uint16_t>(b, operand, begin, count, from, to);
    case 4:
      return gather<std::uint32_t>(b, operand, begin, count, from, to);
    default:
      return gather<std::uint64_t>(b, operand, begin, count, from, to);
  }
}

void store_constant(double value, DType to, kernels::elementwise::Args args) {
  args.source[0] = &value;
  args.uniform[0] = true;
  args.type = DType::f64;
  args.to = to;
  kernels::elementwise::convert_any_1x1_1x1_scalar(args);
}

Status check_operands(const BindRequest& request, const std::vector<DType>& operands, DType result) {
  if (request.inputs.size() != operands.size() || request.outputs.size() != 1) {
    return fail(ErrorCode::internal, fmt::format("elementwise: {} inputs and {} outputs, expected {} and 1",
                                                 request.inputs.size(), request.outputs.size(), operands.size()));
  }
  for (std::size_t i = 0; i < operands.size(); ++i) {
    if (request.inputs[i].dtype != operands[i]) {
      return fail(ErrorCode::usage, fmt::format("operand {} is {}, expected {}", i, name_of(request.inputs[i].dtype),
                                                name_of(operands[i])));
    }
  }
  if (request.outputs[0].dtype != result) {
    return fail(ErrorCode::usage,
                fmt::format("the output is {}, expected {}", name_of(request.outputs[0].dtype), name_of(result)));
  }
  return {};
}

// Threads split the tiles; operands that lie as the output does are split as it is.
void tell_touches(ElementwiseBinding& b, const std::vector<DType>& operands, DType result) {
  const auto split = [&](DType type) {
    const bool by_rows = b.tiles_per_row != 0;
    const std::int64_t elements = by_rows ? b.loops.inner() : kTile;
    return Division{.units = b.tiles,
                    .group = by_rows ? b.tiles_per_row : 1,
                    .item_bytes = static_cast<std::size_t>(elements) * size_of(type)};
  };
  b.touches.emplace();
  for (std::size_t i = 0; i < operands.size(); ++i) {
    const bool direct = b.access[i] == Access::direct;
    b.touches->push_back(reads(static_cast<int>(i), 0, direct ? std::optional(split(operands[i])) : std::nullopt));
  }
  b.touches->push_back(writes(0, 0, split(result)));
}

}  // namespace

Result<std::unique_ptr<const Binding>> ElementwiseOpPrepared::bind(const BindRequest& request) const {
  const DType result = types_[static_cast<std::size_t>(steps_.back().result)];
  INTAGLIO_CHECK(check_operands(request, operands_, result));
  auto b = std::make_unique<ElementwiseBinding>();
  std::vector<Shape> shapes;
  for (const Operand& each : request.inputs) shapes.push_back(each.shape);
  INTAGLIO_TRY(b->loops, broadcast_loops(request.outputs[0].shape, shapes));
  const BroadcastLoops& loops = b->loops;
  bool all_direct = true;
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    INTAGLIO_TRY(const std::int64_t count, element_count(shapes[i]));
    const bool direct = count == loops.total;
    b->access.push_back(count == 1 ? Access::uniform : direct ? Access::direct : Access::by_row);
    all_direct = all_direct && b->access.back() != Access::by_row;
  }
  const bool long_rows = !all_direct && loops.inner() >= kShortRow;
  int slots = slot_count_;
  b->gather_slot.assign(operands_.size(), -1);
  for (std::size_t i = 0; i < operands_.size(); ++i) {
    if (b->access[i] == Access::by_row && !long_rows) {
      b->access[i] = Access::gathered;
      b->gather_slot[i] = slots++;
    }
    b->value_uniform.push_back(b->access[i] == Access::uniform ||
                               (b->access[i] == Access::by_row && loops.strides[i].back() == 0));
  }
  b->value_uniform.resize(types_.size(), true);
  for (const ElementwiseStep& step : steps_) {
    for (const int source : step.source) {
      if (source >= 0 && !b->value_uniform[static_cast<std::size_t>(source)])
        b->value_uniform[static_cast<std::size_t>(step.result)] = false;
    }
  }
  b->value_uniform[static_cast<std::size_t>(steps_.back().result)] = false;  // written in full
  if (loops.total > 0) {
    b->tiles_per_row = long_rows ? (loops.inner() + kTile - 1) / kTile : 0;
    b->tiles = long_rows ? b->tiles_per_row * (loops.total / loops.inner()) : (loops.total + kTile - 1) / kTile;
  }
  b->thread_scratch_bytes = static_cast<std::size_t>(slots) * kTile * sizeof(double);
  b->bytes = operand_bytes(request);
  b->split = {"tiles", b->tiles, 1};
  b->flops = static_cast<double>(loops.total) * static_cast<double>(steps_.size());
  tell_touches(*b, operands_, result);
  return std::unique_ptr<const Binding>(std::move(b));
}

RunStatus ElementwiseOpPrepared::run(const Binding& binding, const RunArgs& args, const Worker& worker) const noexcept {
  const auto& b = static_cast<const ElementwiseBinding&>(binding);
  const Range share = share_of(b.tiles, 1, worker);
  const std::int64_t inner = b.loops.inner();
  const std::size_t out_size = size_of(types_[static_cast<std::size_t>(steps_.back().result)]);
  const auto slot = [&](int index) {
    return args.thread_scratch + static_cast<std::size_t>(index) * kTile * sizeof(double);
  };
  const std::byte* at[kMaxElementwiseOperands] = {};
  for (std::int64_t tile = share.begin; tile < share.end; ++tile) {
    const bool rows = b.tiles_per_row != 0;
    const std::int64_t row = rows ? tile / b.tiles_per_row : 0;
    const std::int64_t column = rows ? tile % b.tiles_per_row * kTile : 0;
    const std::int64_t begin = rows ? row * inner + column : tile * kTile;
    const std::int64_t count = std::min(kTile, rows ? inner - column : b.loops.total - begin);
    RowWalk walk;
    if (rows) walk.seek(b.loops, row);
    for (std::size_t i = 0; i < operands_.size(); ++i) {
      const auto* data = static_cast<const std::byte*>(args.inputs[i]);
      const std::size_t size = size_of(operands_[i]);
      switch (b.access[i]) {
        case Access::uniform:
          at[i] = data;
          break;
        case Access::direct:
          at[i] = data + static_cast<std::size_t>(begin) * size;
          break;
        case Access::by_row:
          at[i] = data + static_cast<std::size_t>(walk.offset(b.loops, i) + column * b.loops.strides[i].back()) * size;
          break;
        case Access::gathered:
          gather_tile(b, i, size, begin, count, data, slot(b.gather_slot[i]));
          at[i] = slot(b.gather_slot[i]);
          break;
      }
    }
    for (const ElementwiseStep& step : steps_) {
      kernels::elementwise::Args call;
      call.op = step.op;
      call.type = step.type;
      call.to = step.to;
      call.alpha = step.alpha;
      call.beta = step.beta;
      for (int i = 0; i < 3 && step.source[i] >= 0; ++i) {
        const auto source = static_cast<std::size_t>(step.source[i]);
        call.source[i] = source < operands_.size() ? at[source] : slot(slots_[source]);
        call.uniform[i] = b.value_uniform[source];
      }
      const auto result = static_cast<std::size_t>(step.result);
      call.count = b.value_uniform[result] ? 1 : static_cast<std::size_t>(count);
      const bool last = &step == &steps_.back();
      call.out = last ? static_cast<std::byte*>(args.outputs[0]) + static_cast<std::size_t>(begin) * out_size
                      : slot(slots_[result]);
      if (step.kernel == nullptr)
        store_constant(step.alpha, step.to, call);
      else
        step.kernel(call);
    }
  }
  return RunStatus::ok;
}

}  // namespace intaglio::ops
