#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <map>

#include "base/env.h"
#include "base/shape.h"
#include "ir/text.h"
#include "ir/text_internal.h"
#include "ir/verifier.h"

namespace intaglio::ir {

namespace {

class Parser {
 public:
  explicit Parser(std::string_view text) : in_(text) {}

  Result<Graph> run() {
    if (!in_.accept_word("graph")) return in_.error("expected 'graph'");
    INTAGLIO_TRY(graph_.name, in_.string("the graph's name"));
    INTAGLIO_CHECK(in_.expect('{'));
    while (!in_.accept('}')) {
      if (in_.at_end()) return in_.error("the closing '}' is missing");
      INTAGLIO_CHECK(statement());
    }
    if (!in_.at_end()) return in_.error("text after the closing '}'");
    if (auto status = verify(graph_); !status)
      return fail(ErrorCode::file, status.error().message, status.error().origin);
    return std::move(graph_);
  }

 private:
  Status statement() {
    if (in_.peek('%')) return node();
    if (in_.accept_word("symbol")) return symbol();
    if (in_.accept_word("guard")) return guard();
    if (in_.accept_word("input")) return input();
    if (in_.accept_word("const")) return constant();
    if (in_.accept_word("output")) return output();
    return in_.error("expected symbol, guard, input, const, output, '%' or '}'");
  }

  // ---- dimensions and types
  Result<Dim> dim(std::string_view stops) {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(Dim dim, in_.dim(stops));
    std::vector<std::string> names;
    dim.collect_symbols(names);
    for (const std::string& name : names) {
      if (graph_.symbols.find(name) == graph_.symbols.end()) {
        return in_.error_at(where, fmt::format("the symbol {} is not declared", name));
      }
    }
    return dim;
  }

  Result<Dims> dims() {
    INTAGLIO_CHECK(in_.expect('['));
    Dims list;
    if (in_.accept(']')) return list;
    do {
      INTAGLIO_TRY(Dim one, dim(",]"));
      list.push_back(std::move(one));
    } while (in_.accept(','));
    INTAGLIO_CHECK(in_.expect(']'));
    return list;
  }

  Result<Type> type() {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string_view name, in_.word("a dtype"));
    const auto dtype = parse_dtype(name);
    if (!dtype) return in_.error_at(where, fmt::format("'{}' is no dtype", name));
    const std::size_t shape_at = in_.position();
    INTAGLIO_TRY(Dims shape, dims());
    if (shape.size() > kMaxRank)
      return in_.error_at(shape_at, fmt::format("the rank is over the limit of {}", kMaxRank));
    for (const Dim& d : shape) {
      if (d.constant().value_or(0) < 0)
        return in_.error_at(shape_at, fmt::format("negative dimension {}", d.to_string()));
    }
    return Type{*dtype, std::move(shape)};
  }

  // ---- names of values
  Result<std::string> new_name() {
    INTAGLIO_CHECK(in_.expect('%'));
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string_view name, in_.word("a value's name"));
    if (values_.find(name) != values_.end()) return in_.error_at(where, fmt::format("%{} is defined twice", name));
    values_.emplace(name, nullptr);  // its value comes with the statement's end
    return std::string(name);
  }

  Result<Value*> known_value() {
    INTAGLIO_CHECK(in_.expect('%'));
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string_view name, in_.word("a value's name"));
    const auto found = values_.find(name);
    if (found != values_.end() && found->second != nullptr) return found->second;
    return in_.error_at(where, fmt::format("%{} is not defined above", name));
  }

  // ---- statements
  Status symbol() {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string_view name, in_.word("a symbol's name"));
    const auto as_dim = Dim::parse(name);
    if (!as_dim || as_dim->as_symbol() != std::string(name))
      return in_.error_at(where, fmt::format("'{}' is no symbol", name));
    SymbolRange range;
    if (in_.accept_word("in")) {
      INTAGLIO_CHECK(in_.expect('['));
      const std::size_t range_at = in_.position();
      INTAGLIO_TRY(range.min, in_.integer("the smallest value"));
      INTAGLIO_CHECK(in_.expect(','));
      if (!in_.accept_word("inf")) {
        INTAGLIO_TRY(range.max, in_.integer("the largest value or inf"));
      }
      INTAGLIO_CHECK(in_.expect(']'));
      if (range.min < 0 || range.min > range.max) return in_.error_at(range_at, "the range is empty or negative");
    }
    if (!graph_.symbols.emplace(name, range).second)
      return in_.error_at(where, fmt::format("{} is declared twice", name));
    return {};
  }

  Status guard() {
    DimGuard guard;
    INTAGLIO_TRY(guard.a, dim(""));
    INTAGLIO_CHECK(in_.expect('='));
    INTAGLIO_CHECK(in_.expect('='));
    INTAGLIO_TRY(guard.b, dim("\""));
    if (in_.peek('"')) {
      INTAGLIO_TRY(guard.origin, in_.string("the guard's origin"));
    }
    graph_.add_guard(std::move(guard));
    return {};
  }

  Status input() {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string port, in_.string("the input's name"));
    if (graph_.find_input(port) != nullptr) return in_.error_at(where, fmt::format("two inputs are called '{}'", port));
    INTAGLIO_TRY(const std::string name, new_name());
    INTAGLIO_CHECK(in_.expect(':'));
    INTAGLIO_TRY(Type t, type());
    values_[name] = graph_.add_input(port, std::move(t), name);
    return {};
  }

  Status output() {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string port, in_.string("the output's name"));
    for (const Port& other : graph_.outputs()) {
      if (other.name == port) return in_.error_at(where, fmt::format("two outputs are called '{}'", port));
    }
    INTAGLIO_TRY(Value* const value, known_value());
    graph_.add_output(port, value);
    return {};
  }

  Status constant() {
    INTAGLIO_TRY(const std::string name, new_name());
    INTAGLIO_CHECK(in_.expect(':'));
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const Type t, type());
    const auto shape = constant_values(t.shape);
    if (!shape) return in_.error_at(where, "a constant has constant dimensions");
    const auto bytes = byte_count(*shape, t.dtype);
    if (!bytes) return in_.error_at(where, bytes.error().message);
    INTAGLIO_CHECK(in_.expect('='));
    INTAGLIO_TRY(Tensor tensor, constant_data(t.dtype, *shape, *bytes));
    values_[name] = graph_.add_constant(std::move(tensor), name);
    return {};
  }

  Result<Tensor> constant_data(DType dtype, const Shape& shape, std::size_t bytes) {
    const std::size_t where = in_.position();
    if (in_.peek('[')) return listed(dtype, shape, bytes);
    if (in_.accept_word("hex")) return hex(dtype, shape, bytes);
    if (in_.accept_word("elided")) return in_.error_at(where, "the elements of this constant were not printed");
    const bool splat = in_.accept_word("splat");
    if (!splat && !in_.accept_word("random")) return in_.error("expected '[', splat, random or hex");
    if (bytes > kMaxGeneratedBytes) {
      return in_.error_at(where, fmt::format("more than {} bytes for splat or random", kMaxGeneratedBytes));
    }
    if (!splat) {
      INTAGLIO_TRY(const std::int64_t seed, in_.integer("a seed"));
      return random_tensor(dtype, shape, static_cast<std::uint64_t>(seed));
    }
    std::byte element[8];
    INTAGLIO_CHECK(parse_one(dtype, element));
    std::byte* out = nullptr;
    INTAGLIO_TRY(Tensor tensor, Tensor::allocate(dtype, shape, &out));
    const std::size_t size = size_of(dtype);
    for (std::size_t at = 0; at < bytes; at += size) std::memcpy(out + at, element, size);
    return tensor;
  }

  Status parse_one(DType dtype, std::byte* out) {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string_view text, in_.number("a number"));
    if (parse_element(dtype, text, out)) return {};
    return in_.error_at(where, fmt::format("'{}' is no {}", text, intaglio::name_of(dtype)));
  }

  Result<Tensor> listed(DType dtype, const Shape& shape, std::size_t bytes) {
    const std::size_t where = in_.position(), size = size_of(dtype);
    INTAGLIO_CHECK(in_.expect('['));
    std::vector<std::byte> data;
    if (!in_.accept(']')) {
      do {
        data.resize(data.size() + size);
        INTAGLIO_CHECK(parse_one(dtype, data.data() + data.size() - size));
      } while (in_.accept(','));
      INTAGLIO_CHECK(in_.expect(']'));
    }
    if (data.size() != bytes) {
      return in_.error_at(where, fmt::format("{} elements for {}", data.size() / size,
                                             intaglio::to_string(std::span<const std::int64_t>(shape))));
    }
    return Tensor::copy_of(dtype, shape, data);
  }

  Result<Tensor> hex(DType dtype, const Shape& shape, std::size_t bytes) {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string digits, in_.string("hex digits"));
    if (digits.size() / 2 != bytes || digits.size() % 2 != 0) {
      return in_.error_at(where, fmt::format("{} hex digits for {} bytes", digits.size(), bytes));
    }
    std::vector<std::byte> data(bytes);
    for (std::size_t i = 0; i < bytes; ++i) {
      unsigned value = 0;
      const char* const from = digits.data() + 2 * i;
      const auto result = std::from_chars(from, from + 2, value, 16);
      if (result.ptr != from + 2) return in_.error_at(where, "only hex digits belong here");
      data[i] = static_cast<std::byte>(value);
    }
    if (dtype == DType::boolean) {
      for (const std::byte b : data) {
        if (std::to_integer<int>(b) > 1) return in_.error_at(where, "a bool is 00 or 01");
      }
    }
    return Tensor::copy_of(dtype, shape, data);
  }

  // ---- nodes
  Status node() {
    const std::size_t where = in_.position();
    NodeSpec spec;
    std::vector<Type> types;
    do {
      INTAGLIO_TRY(std::string name, new_name());
      spec.output_names.push_back(std::move(name));
    } while (in_.accept(','));
    if (in_.accept(':')) {
      do {
        INTAGLIO_TRY(Type t, type());
        types.push_back(std::move(t));
      } while (in_.accept(','));
    }
    INTAGLIO_CHECK(in_.expect('='));
    INTAGLIO_CHECK(op_name(spec));
    INTAGLIO_CHECK(operands(spec));
    if (in_.accept('{')) INTAGLIO_CHECK(attrs(spec));
    if (in_.accept('@')) {
      INTAGLIO_TRY(spec.origin.name, in_.string("the node's name"));
      if (in_.peek('"')) {
        INTAGLIO_TRY(spec.origin.source, in_.string("the node's source"));
      }
    }
    const OpSchema& s = schema(spec.op);
    if (spec.output_names.size() != s.outputs.size()) {
      return in_.error_at(where, fmt::format("{} has {} results", s.name, s.outputs.size()));
    }
    auto made = graph_.add(spec);
    if (!made) return in_.error_at(where, made.error().message);
    for (std::size_t i = 0; i < spec.output_names.size(); ++i) values_[spec.output_names[i]] = (*made)->output(i);
    return check_types(where, types, **made);
  }

  Status check_types(std::size_t where, const std::vector<Type>& types, const Node& made) {
    if (types.empty()) return {};
    if (types.size() != made.outputs().size()) return in_.error_at(where, "as many types as results, or none");
    for (std::size_t i = 0; i < types.size(); ++i) {
      const Type& found = made.output(i)->type();
      if (types[i] != found) {
        return in_.error_at(
            where, fmt::format("%{} is {}, not {}", made.output(i)->name(), to_string(found), to_string(types[i])));
      }
    }
    return {};
  }

  Status op_name(NodeSpec& spec) {
    const std::size_t where = in_.position();
    INTAGLIO_TRY(const std::string_view name, in_.word("an operation"));
    const auto op = parse_op(name);
    if (!op) {
      std::vector<std::string> names;
      for (int i = 0; i < kOpCount; ++i) names.emplace_back(name_of(static_cast<Op>(i)));
      const auto near = did_you_mean(name, names);
      return in_.error_at(
          where, fmt::format("there is no operation '{}'{}", name, near ? "; did you mean " + *near + "?" : ""));
    }
    spec.op = *op;
    return {};
  }

  Status operands(NodeSpec& spec) {
    INTAGLIO_CHECK(in_.expect('('));
    if (in_.accept(')')) return {};
    do {
      if (in_.accept_word("_")) {
        spec.inputs.push_back(nullptr);
        continue;
      }
      INTAGLIO_TRY(Value* const value, known_value());
      spec.inputs.push_back(value);
    } while (in_.accept(','));
    return in_.expect(')');
  }

  Status attrs(NodeSpec& spec) {
    if (in_.accept('}')) return {};
    do {
      const std::size_t where = in_.position();
      INTAGLIO_TRY(const std::string_view name, in_.word("an attribute's name"));
      const AttrSchema* want = nullptr;
      for (const AttrSchema& a : schema(spec.op).attrs) want = a.name == name ? &a : want;
      if (want == nullptr) return in_.error_at(where, fmt::format("{} has no attribute '{}'", name_of(spec.op), name));
      if (spec.attrs.find(name) != nullptr) return in_.error_at(where, fmt::format("'{}' is given twice", name));
      INTAGLIO_CHECK(in_.expect('='));
      INTAGLIO_TRY(Attr value, attr(want->kind));
      spec.attrs.set(name, std::move(value));
    } while (in_.accept(','));
    return in_.expect('}');
  }

  Result<Attr> attr(AttrKind kind) {
    const std::size_t where = in_.position();
    switch (kind) {
      case AttrKind::integer:
        return in_.integer("an integer").map([](std::int64_t i) { return Attr(i); });
      case AttrKind::string:
        return in_.string("text").map([](std::string s) { return Attr(std::move(s)); });
      case AttrKind::dim:
        return dim(",}").map([](Dim d) { return Attr(std::move(d)); });
      case AttrKind::dims:
        return dims().map([](Dims d) { return Attr(std::move(d)); });
      case AttrKind::ints:
        return ints().map([](Ints list) { return Attr(std::move(list)); });
      case AttrKind::floating: {
        INTAGLIO_TRY(const std::string_view text, in_.number("a number"));
        std::byte bytes[8];
        double value = 0;
        if (!parse_element(DType::f64, text, bytes)) return in_.error_at(where, fmt::format("'{}' is no number", text));
        std::memcpy(&value, bytes, sizeof(value));
        return Attr(value);
      }
      case AttrKind::boolean: {
        if (in_.accept_word("true")) return Attr(true);
        if (in_.accept_word("false")) return Attr(false);
        return in_.error("expected true or false");
      }
      case AttrKind::dtype: {
        INTAGLIO_TRY(const std::string_view name, in_.word("a dtype"));
        const auto dtype = parse_dtype(name);
        if (!dtype) return in_.error_at(where, fmt::format("'{}' is no dtype", name));
        return Attr(*dtype);
      }
    }
    return in_.error("unknown kind of attribute");
  }

  Result<Ints> ints() {
    INTAGLIO_CHECK(in_.expect('['));
    Ints list;
    if (in_.accept(']')) return list;
    do {
      INTAGLIO_TRY(const std::int64_t i, in_.integer("an integer"));
      list.push_back(i);
    } while (in_.accept(','));
    INTAGLIO_CHECK(in_.expect(']'));
    return list;
  }

  Cursor in_;
  Graph graph_;
  std::map<std::string, Value*, std::less<>> values_;
};

}  // namespace

Result<Graph> parse(std::string_view text) {
  return Parser(text).run();
}

}  // namespace intaglio::ir
