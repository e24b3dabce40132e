#include "frontend/pt2/call.h"

#include <string>

namespace intaglio::frontend::pt2 {
namespace {

using Kind = Argument::Kind;

tl::unexpected<Error> wrong_kind(std::string_view name, std::string_view wanted) {
  return fail(ErrorCode::file, "argument '" + std::string(name) + "' is not " + std::string(wanted));
}

Result<std::int64_t> constant_of(const Scalar& scalar, std::string_view name) {
  if (scalar.kind == Scalar::Kind::boolean) return scalar.b ? 1 : 0;
  if (scalar.kind != Scalar::Kind::integer) return wrong_kind(name, "an integer");
  if (const auto value = scalar.i.constant()) return *value;
  return fail(ErrorCode::unsupported, "argument '" + std::string(name) + "' depends on the input's shape (" +
                                          scalar.i.to_string() + "), it must be a constant");
}

}  // namespace

const Argument* Call::find(std::string_view name) const {
  for (const NamedArgument& input : node_.inputs) {
    if (input.name == name) return input.value.kind == Kind::none ? nullptr : &input.value;
  }
  return nullptr;
}

const Argument* Call::at(std::size_t position) const {
  return position < node_.inputs.size() ? &node_.inputs[position].value : nullptr;
}

Result<const Argument*> Call::required(std::string_view name) const {
  if (const Argument* argument = find(name)) return argument;
  return fail(ErrorCode::file, "argument '" + std::string(name) + "' is missing");
}

MaybeValue Call::tensor(std::string_view name) const {
  INTAGLIO_TRY(const Argument* argument, required(name));
  if (argument->kind != Kind::tensor) return wrong_kind(name, "a tensor");
  return scope_.value(argument->text);
}

MaybeValue Call::optional_tensor(std::string_view name) const {
  if (find(name) == nullptr) return nullptr;
  return tensor(name);
}

Result<std::vector<ir::Value*>> Call::tensors(std::string_view name) const {
  INTAGLIO_TRY(const Argument* argument, required(name));
  if (argument->kind != Kind::list) return wrong_kind(name, "a list of tensors");
  std::vector<ir::Value*> values;
  for (const Argument& item : argument->items) {
    ir::Value* value = nullptr;
    if (item.kind == Kind::tensor) {
      INTAGLIO_TRY(value, scope_.value(item.text));
    } else if (item.kind != Kind::none) {
      return wrong_kind(name, "a list of tensors");
    }
    values.push_back(value);
  }
  return values;
}

Result<Scalar> Call::scalar_of(const Argument& argument) const {
  switch (argument.kind) {
    case Kind::integer:
      return Scalar::of(argument.i);
    case Kind::floating:
      return Scalar::of_float(argument.f);
    case Kind::boolean:
      return Scalar::of_bool(argument.i != 0);
    case Kind::sym: {
      INTAGLIO_TRY(Scalar scalar, scope_.scalar(argument.text));
      if (scalar.kind == Scalar::Kind::unknown)
        return fail(ErrorCode::unsupported, "a number depends on data or on shapes: " + scalar.why);
      return scalar;
    }
    default:
      return fail(ErrorCode::file, "a number was expected");
  }
}

Result<Operand> Call::operand(std::string_view name) const {
  INTAGLIO_TRY(const Argument* argument, required(name));
  Operand operand;
  if (argument->kind == Kind::tensor) {
    INTAGLIO_TRY(operand.tensor, scope_.value(argument->text));
    return operand;
  }
  auto scalar = scalar_of(*argument);
  if (!scalar) return fail(std::move(scalar).error().within("argument '" + std::string(name) + "'"));
  operand.scalar = std::move(*scalar);
  return operand;
}

Result<std::optional<Scalar>> Call::optional_number(std::string_view name) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return std::nullopt;
  auto scalar = scalar_of(*argument);
  if (!scalar) return fail(std::move(scalar).error().within("argument '" + std::string(name) + "'"));
  return std::move(*scalar);
}

Result<Scalar> Call::number(std::string_view name, std::optional<Scalar> otherwise) const {
  INTAGLIO_TRY(auto value, optional_number(name));
  if (value) return *value;
  if (otherwise) return *otherwise;
  return fail(ErrorCode::file, "argument '" + std::string(name) + "' is missing");
}

Result<Scalar> Call::number_at(std::size_t position) const {
  const Argument* argument = at(position);
  if (argument == nullptr) return fail(ErrorCode::file, "argument " + std::to_string(position) + " is missing");
  return scalar_of(*argument);
}

Result<std::int64_t> Call::integer(std::string_view name, std::optional<std::int64_t> otherwise) const {
  INTAGLIO_TRY(const Scalar value, number(name, otherwise ? std::optional(Scalar::of(*otherwise)) : std::nullopt));
  return constant_of(value, name);
}

Result<double> Call::floating(std::string_view name, std::optional<double> otherwise) const {
  INTAGLIO_TRY(const Scalar value,
               number(name, otherwise ? std::optional(Scalar::of_float(*otherwise)) : std::nullopt));
  if (const auto constant = value.constant()) return *constant;
  return fail(ErrorCode::unsupported,
              "argument '" + std::string(name) + "' depends on the input's shape, it must be a constant");
}

Result<bool> Call::boolean(std::string_view name, bool otherwise) const {
  INTAGLIO_TRY(const Scalar value, number(name, Scalar::of_bool(otherwise)));
  if (const auto constant = value.constant()) return *constant != 0;
  return wrong_kind(name, "a boolean");
}

Result<std::string_view> Call::string(std::string_view name, std::string_view otherwise) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return otherwise;
  if (argument->kind != Kind::string) return wrong_kind(name, "a string");
  return argument->text;
}

Result<std::optional<Dims>> Call::optional_dims(std::string_view name) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return std::nullopt;
  Dims dims;
  const auto append = [&](const Argument& item) -> Status {
    INTAGLIO_TRY(Scalar value, scalar_of(item));
    if (value.kind != Scalar::Kind::integer) return wrong_kind(name, "a list of integers");
    dims.push_back(value.i);
    return {};
  };
  if (argument->kind != Kind::list) {
    INTAGLIO_CHECK(append(*argument));
    return dims;
  }
  for (const Argument& item : argument->items) {
    INTAGLIO_CHECK(append(item));
  }
  return dims;
}

Result<Dims> Call::dims(std::string_view name) const {
  INTAGLIO_TRY(auto dims, optional_dims(name));
  if (dims) return *dims;
  return fail(ErrorCode::file, "argument '" + std::string(name) + "' is missing");
}

Result<std::optional<std::vector<std::int64_t>>> Call::ints(std::string_view name) const {
  INTAGLIO_TRY(const auto dims, optional_dims(name));
  if (!dims) return std::nullopt;
  std::vector<std::int64_t> values;
  for (const Dim& dim : *dims) {
    INTAGLIO_TRY(const std::int64_t value, constant_of(Scalar::of(dim), name));
    values.push_back(value);
  }
  return values;
}

Result<std::optional<Dim>> Call::optional_dim(std::string_view name) const {
  INTAGLIO_TRY(const auto value, optional_number(name));
  if (!value) return std::nullopt;
  if (value->kind != Scalar::Kind::integer) return wrong_kind(name, "an integer");
  return value->i;
}

Result<std::optional<DType>> Call::dtype(std::string_view name) const {
  const Argument* argument = find(name);
  if (argument == nullptr) return std::nullopt;
  if (argument->kind != Kind::dtype) return wrong_kind(name, "a dtype");
  if (const auto dtype = dtype_of_code(argument->i)) return *dtype;
  return fail(ErrorCode::unsupported, "dtype " + dtype_name(argument->i) + " is not supported");
}

Result<std::int64_t> Call::axis(std::string_view name, std::int64_t rank, std::optional<std::int64_t> otherwise) const {
  INTAGLIO_TRY(const std::int64_t value, integer(name, otherwise));
  return normalise_axis(value, rank == 0 ? 1 : rank);
}

std::vector<std::string_view> result_names(const NodeRecord& node) {
  std::vector<std::string_view> names;
  const auto add = [&](const Argument& a) {
    names.push_back(a.kind == Kind::tensor || a.kind == Kind::sym ? a.text : std::string_view());
  };
  for (const Argument& output : node.outputs) {
    if (output.kind != Kind::list) {
      add(output);
    } else {
      for (const Argument& item : output.items) add(item);
    }
  }
  return names;
}

std::size_t Call::result_count() const {
  return result_names(node_).size();
}

bool Call::result_used(std::size_t index) const {
  const auto names = result_names(node_);
  return index < names.size() && !names[index].empty() && scope_.last_use(names[index]) >= 0;
}

Status Call::ret(const MaybeValue& value) {
  if (!value) return fail(value.error());
  results_.push_back({.value = *value, .scalar = {}});
  return {};
}

Status Call::ret(const Scalar& scalar) {
  results_.push_back({.value = nullptr, .scalar = scalar});
  return {};
}

Status Call::ret_all(const Result<std::vector<ir::Value*>>& values) {
  if (!values) return fail(values.error());
  for (ir::Value* value : *values) results_.push_back({.value = value, .scalar = {}});
  return {};
}

}  // namespace intaglio::frontend::pt2
