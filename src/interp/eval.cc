#include "interp/eval.h"

#include <algorithm>
#include <new>

namespace intaglio::interp {

namespace {

using EvalFunction = Result<Tensors> (*)(const EvalArgs&);
constexpr EvalFunction kEval[] = {
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) &eval_##token,
#include "ir/ops.inc"
#undef INTAGLIO_OP
};

std::string where_of(const ir::Node& node) {
  return node.origin().name.empty() ? "%" + node.output()->name() : node.origin().name;
}

Result<Dims> evaluate(const Dims& dims, const SymbolValues& symbols) {
  Dims values;
  for (const Dim& dim : dims) {
    INTAGLIO_TRY(const std::int64_t value, dim.evaluate(symbols));
    values.emplace_back(value);
  }
  return values;
}

// The attributes with every Dim a constant.
Result<ir::Attrs> concrete_attrs(const ir::Attrs& attrs, const SymbolValues& symbols) {
  ir::Attrs concrete = attrs;
  for (const auto& [name, attr] : attrs.items()) {
    if (const auto* dims = std::get_if<Dims>(&attr)) {
      INTAGLIO_TRY(Dims values, evaluate(*dims, symbols));
      concrete.set(name, std::move(values));
    } else if (const auto* dim = std::get_if<Dim>(&attr)) {
      INTAGLIO_TRY(const std::int64_t value, dim->evaluate(symbols));
      concrete.set(name, Dim(value));
    }
  }
  return concrete;
}

// The operands' concrete types; an operand that is not what the node declares is a mistake of the caller.
Result<std::vector<ir::Type>> operand_types(const NodeCall& call) {
  std::vector<ir::Type> types;
  if (call.inputs.size() != call.node.inputs().size()) {
    return fail(ErrorCode::internal,
                fmt::format("{} operands given, {} wanted", call.inputs.size(), call.node.inputs().size()));
  }
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    const Tensor* tensor = call.inputs[i];
    const ir::Value* value = call.node.input(i);
    types.emplace_back();
    if ((tensor == nullptr) != (value == nullptr))
      return fail(ErrorCode::internal, fmt::format("operand {} is absent or extra", i));
    if (tensor == nullptr) continue;
    INTAGLIO_TRY(const std::size_t bytes, byte_count(tensor->shape, tensor->dtype));
    if (tensor->dtype != held(value->dtype(), call.precision) || bytes != tensor->bytes) {
      return fail(ErrorCode::internal,
                  fmt::format("operand {} is {}{}, but the node declares {}", i, name_of(tensor->dtype),
                              to_string(tensor->shape), to_string(value->type())));
    }
    types.back() = ir::Type{value->dtype(), constant_dims(tensor->shape)};
  }
  return types;
}

// The shapes that the symbolic types promise must be the concrete ones. Symbols without values are not judged.
Status check_declared(const NodeCall& call, const std::vector<ir::Type>& types) {
  for (std::size_t i = 0; i < types.size(); ++i) {
    const ir::Type& declared = call.node.output(i)->type();
    const auto promised = evaluate(declared.shape, call.symbols);
    if (declared.dtype == types[i].dtype && (!promised || *promised == types[i].shape)) continue;
    return fail(ErrorCode::internal,
                fmt::format("result {} is {}, but the graph declares {}", i, to_string(types[i]), to_string(declared)));
  }
  return {};
}

// Results plus scratch: every function decodes operands and results to at most 8 bytes per element, and keeps at most
// two lists of positions per element.
Status check_memory(const NodeCall& call, const std::vector<ir::Type>& types) {
  std::int64_t bytes = 0;
  const auto charge = [&](std::span<const std::int64_t> shape, DType dtype) {
    const auto elements = element_count(shape);
    const auto part = elements ? checked_mul(*elements, static_cast<std::int64_t>(24 + size_of(dtype))) : std::nullopt;
    const auto sum = part ? checked_add(bytes, *part) : std::nullopt;
    bytes = sum.value_or(INT64_MAX);
    return sum.has_value();
  };
  bool fits = true;
  for (const ir::Type& type : types)
    fits = fits && charge(*constant_values(type.shape), held(type.dtype, call.precision));
  const bool decodes = ir::schema(call.node.op()).group != ir::OpGroup::movement;
  for (const Tensor* input : call.inputs)
    fits = fits && (!decodes || input == nullptr || charge(input->shape, DType::i8));
  if (fits && static_cast<std::uint64_t>(bytes) <= call.max_bytes) return {};
  return fail(ErrorCode::internal,
              fmt::format("out of memory: the interpreter may use {} bytes, {} are wanted", call.max_bytes, bytes));
}

Result<Tensors> eval_checked(const NodeCall& call) {
  INTAGLIO_TRY(const auto operands, operand_types(call));
  INTAGLIO_TRY(const ir::Attrs attrs, concrete_attrs(call.node.attrs(), call.symbols));
  std::vector<const ir::Type*> pointers;
  for (std::size_t i = 0; i < operands.size(); ++i)
    pointers.push_back(call.inputs[i] == nullptr ? nullptr : &operands[i]);
  INTAGLIO_TRY(const auto types, infer(call.node.op(), pointers, attrs, ir::InferContext{}));
  INTAGLIO_CHECK(check_declared(call, types));
  INTAGLIO_CHECK(check_memory(call, types));
  EvalArgs args{call.node.op(), attrs, call.inputs, {}, {}, call.precision, call.folding};
  for (const ir::Type& type : types) {
    args.dtypes.push_back(held(type.dtype, call.precision));
    args.shapes.push_back(*constant_values(type.shape));
  }
  // Nothing to compute; and products of the other dims of an empty shape may be over 64 bits.
  if (types.size() == 1 && args.count() == 0) {
    std::byte* out = nullptr;
    INTAGLIO_TRY(Tensor empty, Tensor::allocate(args.dtypes[0], args.shapes[0], &out));
    return Tensors{std::move(empty)};
  }
  return kEval[static_cast<std::size_t>(args.op)](args);
}

// The float nearest towards zero with its last bit set if x lies between two floats: rounding it again to a narrower
// format gives what rounding x would.
float round_to_odd(double x) {
  auto y = static_cast<float>(x);
  if (static_cast<double>(y) == x || std::isnan(y)) return y;
  if (std::fabs(static_cast<double>(y)) > std::fabs(x)) y = std::nextafter(y, 0.0f);
  std::uint32_t bits = 0;
  std::memcpy(&bits, &y, sizeof(bits));
  bits |= 1u;
  std::memcpy(&y, &bits, sizeof(bits));
  return y;
}

}  // namespace

Result<Tensors> eval_node(const NodeCall& call) {
  try {
    auto result = eval_checked(call);
    if (!result) return fail(std::move(result).error().at(where_of(call.node)));
    return result;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::unsupported, "out of memory", where_of(call.node));
  }
}

Shape EvalArgs::dims(std::string_view name) const {
  return *constant_values(attrs.dims(name));
}

std::int64_t EvalArgs::count(std::size_t output) const {
  return element_count(shapes[output]).value_or(0);  // checked when memory was
}

tl::unexpected<Error> EvalArgs::data_error(std::string message) const {
  return fail(ErrorCode::data, fmt::format("{}: {}", name_of(op), message));
}

void store_float(double value, DType dtype, std::byte* out) {
  if (dtype == DType::f64) {
    std::memcpy(out, &value, sizeof(value));
  } else if (dtype == DType::f32) {
    const auto narrow = static_cast<float>(value);
    std::memcpy(out, &narrow, sizeof(narrow));
  } else {
    const std::uint16_t bits = dtype == DType::f16 ? to_float16(value).bits : to_bfloat16(round_to_odd(value)).bits;
    std::memcpy(out, &bits, sizeof(bits));
  }
}

void store_integer(std::uint64_t value, DType dtype, std::byte* out) {
  if (dtype == DType::boolean) value = value != 0 ? 1 : 0;
  std::memcpy(out, &value, size_of(dtype));  // little endian: the low bytes
}

void store_cast(double value, DType dtype, std::byte* out) {
  if (is_floating(dtype)) return store_float(value, dtype, out);
  if (dtype == DType::boolean) return store_integer(value != 0 ? 1 : 0, dtype, out);  // NaN is true
  const int bits = static_cast<int>(8 * size_of(dtype));
  const bool is_unsigned = is_unsigned_integer(dtype);
  const double high = std::ldexp(1.0, is_unsigned ? bits : bits - 1), low = is_unsigned ? 0.0 : -high;
  std::uint64_t stored = 0;
  if (std::isnan(value)) {
    stored = 0;
  } else if (value >= high) {
    stored = is_unsigned ? ~std::uint64_t{0} : (std::uint64_t{1} << (bits - 1)) - 1;
  } else if (value <= low) {
    stored = is_unsigned ? 0 : static_cast<std::uint64_t>(static_cast<std::int64_t>(low));
  } else {
    stored =
        value < 0 ? static_cast<std::uint64_t>(static_cast<std::int64_t>(value)) : static_cast<std::uint64_t>(value);
  }
  store_integer(stored, dtype, out);
}

void store_cast(std::int64_t value, bool is_unsigned, DType dtype, std::byte* out) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (!is_floating(dtype)) return store_integer(bits, dtype, out);
  if (dtype == DType::f32) {  // directly: a way through double would round twice
    const float narrow = is_unsigned ? static_cast<float>(bits) : static_cast<float>(value);
    std::memcpy(out, &narrow, sizeof(narrow));
    return;
  }
  store_float(is_unsigned ? static_cast<double>(bits) : static_cast<double>(value), dtype, out);
}

std::vector<std::int64_t> offsets_of(std::span<const std::int64_t> shape, std::span<const std::int64_t> strides,
                                     std::int64_t base) {
  std::vector<std::int64_t> offsets(static_cast<std::size_t>(element_count(shape).value_or(0)));
  std::vector<std::int64_t> index(shape.size());
  std::int64_t offset = base;
  for (std::int64_t& slot : offsets) {
    slot = offset;
    for (std::size_t d = shape.size(); d-- > 0;) {
      offset += strides[d];
      if (++index[d] < shape[d]) break;
      offset -= strides[d] * shape[d];
      index[d] = 0;
    }
  }
  return offsets;
}

std::vector<std::int64_t> broadcast_strides(std::span<const std::int64_t> from, std::span<const std::int64_t> to) {
  const auto own = row_major_strides(from);
  std::vector<std::int64_t> strides(to.size(), 0);
  for (std::size_t d = 0; d < from.size(); ++d) {
    if (from[d] != 1) strides[to.size() - from.size() + d] = own[d];
  }
  return strides;
}

Result<Tensor> take(const Tensor& x, const Shape& shape, const std::vector<std::int64_t>& offsets) {
  std::byte* out = nullptr;
  INTAGLIO_TRY(Tensor y, Tensor::allocate(x.dtype, shape, &out));
  const std::size_t size = size_of(x.dtype);
  for (std::size_t i = 0; i < offsets.size(); ++i) {
    std::memcpy(out + i * size, x.data + static_cast<std::size_t>(offsets[i]) * size, size);
  }
  return y;
}

AxisView view_axis(std::span<const std::int64_t> shape, std::size_t axis) {
  AxisView view;
  for (std::size_t d = 0; d < shape.size(); ++d) (d < axis ? view.outer : d == axis ? view.n : view.inner) *= shape[d];
  return view;
}

Result<std::vector<Tensor>> eval(const ir::Node& node, std::span<const Tensor* const> inputs,
                                 const SymbolValues& symbols) {
  return eval_node(NodeCall{node, inputs, symbols, Precision::f32, /*folding=*/true, Options{}.max_bytes});
}

}  // namespace intaglio::interp
