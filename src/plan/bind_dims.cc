// Symbols from input shapes.
#include <fmt/format.h>

#include "plan/binding.h"

namespace intaglio::plan {

namespace {

std::string input_origin(const Plan& plan, std::size_t input) {
  return "input '" + plan.inputs[input].name + "'";
}

// The declared shape of an input, for messages: "[batch, 128]".
std::string declared_shape(const Plan& plan, std::size_t input) {
  Dims dims;
  for (DimId id : plan.values[plan.inputs[input].value].shape) dims.push_back(plan.dims[id]);
  return to_string(dims);
}

Status check_rank(const Plan& plan, std::size_t input, const Shape& shape) {
  const std::size_t rank = plan.values[plan.inputs[input].value].shape.size();
  if (shape.size() == rank) return {};
  return fail(ErrorCode::usage,
              fmt::format("the shape {} has rank {}; the model declares {} of rank {}", to_string(shape), shape.size(),
                          declared_shape(plan, input), rank),
              input_origin(plan, input));
}

Status check_range(const Plan& plan, const std::string& symbol, std::int64_t value, std::size_t input,
                   std::size_t axis) {
  const auto found = plan.symbols.find(symbol);
  if (found == plan.symbols.end()) return {};
  const SymbolRange range = found->second;
  if (value >= range.min && value <= range.max) return {};
  return fail(ErrorCode::unsupported,
              fmt::format("dim {} ('{}') is {}, outside the declared range {}..{}", axis, symbol, value, range.min,
                          range.max == INT64_MAX ? std::string("unlimited") : std::to_string(range.max)),
              input_origin(plan, input), "use a size inside the range, or export the model with a wider one");
}

// Every dim that is a bare symbol binds it; the first occurrence decides, later ones must agree.
Result<SymbolValues> bind_symbols(const Plan& plan, std::span<const Shape> shapes) {
  SymbolValues values;
  for (std::size_t input = 0; input < shapes.size(); ++input) {
    INTAGLIO_CHECK(check_rank(plan, input, shapes[input]));
    const auto& declared = plan.values[plan.inputs[input].value].shape;
    for (std::size_t axis = 0; axis < declared.size(); ++axis) {
      const std::int64_t value = shapes[input][axis];
      if (value < 0)
        return fail(ErrorCode::usage, fmt::format("dim {} is negative ({})", axis, value), input_origin(plan, input));
      const auto symbol = plan.dims[declared[axis]].as_symbol();
      if (!symbol) continue;
      INTAGLIO_CHECK(check_range(plan, *symbol, value, input, axis));
      const auto [position, inserted] = values.emplace(*symbol, value);
      if (!inserted && position->second != value) {
        return fail(
            ErrorCode::usage,
            fmt::format("dim {} ('{}') is {}, but an earlier input has {}", axis, *symbol, value, position->second),
            input_origin(plan, input));
      }
    }
  }
  return values;
}

// Fixed dims and expressions are checked once all symbols are known.
Status check_inputs(const Plan& plan, std::span<const Shape> shapes, const std::vector<std::int64_t>& dims) {
  for (std::size_t input = 0; input < shapes.size(); ++input) {
    const auto& declared = plan.values[plan.inputs[input].value].shape;
    for (std::size_t axis = 0; axis < declared.size(); ++axis) {
      if (shapes[input][axis] == dims[declared[axis]]) continue;
      return fail(ErrorCode::usage,
                  fmt::format("dim {} is {}; the model wants {} (shape {}, declared {})", axis, shapes[input][axis],
                              dims[declared[axis]], to_string(shapes[input]), declared_shape(plan, input)),
                  input_origin(plan, input));
    }
  }
  return {};
}

}  // namespace

Result<std::vector<std::int64_t>> bind_dims(const Plan& plan, std::span<const Shape> input_shapes) {
  if (input_shapes.size() != plan.inputs.size()) {
    return fail(ErrorCode::usage,
                fmt::format("{} inputs were given; the model has {}", input_shapes.size(), plan.inputs.size()));
  }
  INTAGLIO_TRY(const SymbolValues symbols, bind_symbols(plan, input_shapes));
  std::vector<std::int64_t> dims;
  dims.reserve(plan.dims.size());
  for (const Dim& dim : plan.dims) {
    auto value = dim.evaluate(symbols);
    if (!value) return fail(std::move(value).error());
    dims.push_back(*value);
  }
  INTAGLIO_CHECK(check_inputs(plan, input_shapes, dims));
  for (const Guard& guard : plan.guards) {
    if (dims[guard.a] == dims[guard.b]) continue;
    return fail(ErrorCode::unsupported,
                fmt::format("these input shapes need {} = {}, but they are {} and {}", plan.dims[guard.a].to_string(),
                            plan.dims[guard.b].to_string(), dims[guard.a], dims[guard.b]),
                "node '" + guard.origin + "'");
  }
  return dims;
}

}  // namespace intaglio::plan
