// The op table, parsed once from the strings of ir/ops.inc.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "base/env.h"
#include "ir/op.h"

namespace intaglio::ir {

namespace {

struct Row {
  Op op;
  std::string_view name;
  OpGroup group;
  std::string_view inputs, outputs, attrs, formula;
};

constexpr Row kRows[] = {
#define INTAGLIO_OP(token, group, inputs, outputs, attrs, formula) \
  {Op::token, #token, OpGroup::group, inputs, outputs, attrs, formula},
#include "ir/ops.inc"
#undef INTAGLIO_OP
};

constexpr std::string_view kKindNames[] = {"int", "float", "bool", "string", "dtype", "ints", "dim", "dims"};

// A malformed row of ops.inc: every test program that touches the table finds it.
[[noreturn]] void bad_row(const Row& row, std::string_view text) {
  throw std::logic_error(fmt::format("ops.inc: {}: '{}'", row.name, text));
}

std::vector<std::string_view> split_list(std::string_view text) {
  std::vector<std::string_view> items;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    while (item.starts_with(' ')) item.remove_prefix(1);
    while (item.ends_with(' ')) item.remove_suffix(1);
    items.push_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return items;
}

OperandSchema parse_operand(std::string_view text) {
  OperandSchema operand;
  if (text.ends_with("...")) {
    operand.variadic = true;
    text.remove_suffix(3);
  } else if (text.ends_with('?')) {
    operand.optional = true;
    text.remove_suffix(1);
  }
  operand.name = text;
  return operand;
}

std::optional<Attr> parse_default(AttrKind kind, std::string_view text) {
  const std::string value(text);
  switch (kind) {
    case AttrKind::integer:
      return Attr(static_cast<std::int64_t>(std::stoll(value)));
    case AttrKind::floating:
      return Attr(std::stod(value));
    case AttrKind::boolean:
      return text == "true" || text == "false" ? std::optional(Attr(text == "true")) : std::nullopt;
    case AttrKind::string:
      return Attr(value);
    case AttrKind::dtype: {
      const auto dtype = parse_dtype(text);
      return dtype ? std::optional(Attr(*dtype)) : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

AttrSchema parse_attr(const Row& row, std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos) bad_row(row, text);
  const std::size_t equals = std::min(text.find('=', colon), text.size());
  AttrSchema attr;
  attr.name = text.substr(0, colon);
  const std::string_view kind = text.substr(colon + 1, equals - colon - 1);
  std::size_t k = 0;
  while (k < std::size(kKindNames) && kKindNames[k] != kind) ++k;
  if (k == std::size(kKindNames)) bad_row(row, text);
  attr.kind = static_cast<AttrKind>(k);
  if (equals < text.size()) {
    attr.default_value = parse_default(attr.kind, text.substr(equals + 1));
    if (!attr.default_value) bad_row(row, text);
  }
  return attr;
}

std::vector<OpSchema> parse_table() {
  std::vector<OpSchema> table;
  for (const Row& row : kRows) {
    OpSchema s;
    s.op = row.op;
    s.name = row.name;
    s.group = row.group;
    s.formula = row.formula;
    for (const auto item : split_list(row.inputs)) s.inputs.push_back(parse_operand(item));
    for (const auto item : split_list(row.outputs)) s.outputs.emplace_back(item);
    for (const auto item : split_list(row.attrs)) s.attrs.push_back(parse_attr(row, item));
    table.push_back(std::move(s));
  }
  return table;
}

const std::vector<OpSchema>& table() {
  static const std::vector<OpSchema> kTable = parse_table();
  return kTable;
}

// Numbers widen to what the schema wants: a constant is a dim, an integer is a number.
void widen(Attr& attr, AttrKind wanted) {
  if (const auto* i = std::get_if<std::int64_t>(&attr)) {
    if (wanted == AttrKind::dim)
      attr = Dim(*i);
    else if (wanted == AttrKind::floating)
      attr = static_cast<double>(*i);
  } else if (const auto* list = std::get_if<Ints>(&attr); list != nullptr && wanted == AttrKind::dims) {
    attr = constant_dims(*list);
  }
}

}  // namespace

const OpSchema& schema(Op op) {
  return table()[static_cast<std::size_t>(op)];
}
std::string_view name_of(Op op) {
  return kRows[static_cast<std::size_t>(op)].name;
}

std::optional<Op> parse_op(std::string_view name) {
  for (const Row& row : kRows) {
    if (row.name == name) return row.op;
  }
  return std::nullopt;
}

std::string_view name_of(AttrKind kind) {
  return kKindNames[static_cast<std::size_t>(kind)];
}

std::string to_string(const Type& type) {
  return fmt::format("{}{}", intaglio::name_of(type.dtype), to_string(std::span<const Dim>(type.shape)));
}

Status complete_attrs(Op op, Attrs& attrs) {
  const OpSchema& s = schema(op);
  for (const AttrSchema& want : s.attrs) {
    const Attr* found = attrs.find(want.name);
    if (found == nullptr) {
      if (!want.default_value) {
        return fail(ErrorCode::unsupported, fmt::format("{}: the attribute '{}' is missing", s.name, want.name));
      }
      attrs.set(want.name, *want.default_value);
      continue;
    }
    if (kind_of(*found) == want.kind) continue;
    Attr widened = *found;
    widen(widened, want.kind);
    if (kind_of(widened) != want.kind) {
      return fail(ErrorCode::unsupported, fmt::format("{}: the attribute '{}' must be of kind {}, not {}", s.name,
                                                      want.name, name_of(want.kind), name_of(kind_of(widened))));
    }
    attrs.set(want.name, std::move(widened));
  }
  if (attrs.items().size() == s.attrs.size()) return {};
  std::vector<std::string> names;
  for (const AttrSchema& want : s.attrs) names.push_back(want.name);
  for (const auto& item : attrs.items()) {
    if (std::find(names.begin(), names.end(), item.first) != names.end()) continue;
    const auto near = did_you_mean(item.first, names);
    return fail(ErrorCode::unsupported, fmt::format("{}: there is no attribute '{}'", s.name, item.first), {},
                near ? fmt::format("did you mean '{}'?", *near) : std::string());
  }
  return {};
}

}  // namespace intaglio::ir
