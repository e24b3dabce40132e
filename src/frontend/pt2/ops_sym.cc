// Arithmetic on shapes: integers become Dims, and what is not decided before the run stays "undecided" until something
// other than an assertion asks for it.
#include <cmath>
#include <optional>

#include "base/shape.h"
#include "frontend/pt2/ops.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using Kind = Scalar::Kind;

constexpr std::size_t kMaxTerms = 256;  // products of sums of a hostile file would grow without bound

Scalar as_integer(Scalar s) {
  if (s.kind == Kind::boolean) return Scalar::of(s.b ? 1 : 0);
  return s;
}

tl::unexpected<Error> overflow() {
  return fail(ErrorCode::file, "a number of the program overflows");
}

Result<Dim> product(const Dim& a, const Dim& b) {
  const auto x = a.constant(), y = b.constant();
  if (x && y && !checked_mul(*x, *y)) return overflow();
  if (a.terms().size() * b.terms().size() > kMaxTerms)
    return fail(ErrorCode::unsupported, "a size expression with too many terms");
  return a * b;
}

Result<Dim> sum_of(const Dim& a, const Dim& b, bool minus) {
  const auto x = a.constant(), y = b.constant();
  if (x && y && !(minus ? (*y == INT64_MIN ? std::nullopt : checked_add(*x, -*y)) : checked_add(*x, *y)))
    return overflow();
  if (a.terms().size() + b.terms().size() > kMaxTerms)
    return fail(ErrorCode::unsupported, "a size expression with too many terms");
  return minus ? a - b : a + b;
}

Result<Dim> power(const Dim& base, const Dim& exponent) {
  const auto count = exponent.constant();
  if (!count || *count < 0 || *count > 62)
    return fail(ErrorCode::unsupported, "a power of sizes with this exponent is not supported");
  Dim value = 1;
  for (std::int64_t i = 0; i < *count; ++i) {
    INTAGLIO_TRY(value, product(value, base));
  }
  return value;
}

Scalar compare(SymOp op, const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  const auto decided = [](bool value) { return Scalar::of_bool(value); };
  const bool less = provably_less(a, b, ranges), greater = provably_less(b, a, ranges);
  const bool at_most = provably_at_most(a, b, ranges), at_least = provably_at_most(b, a, ranges);
  switch (op) {
    case SymOp::lt:
      if (less || at_least) return decided(less);
      break;
    case SymOp::le:
      if (at_most || greater) return decided(at_most);
      break;
    case SymOp::gt:
      if (greater || at_most) return decided(greater);
      break;
    case SymOp::ge:
      if (at_least || less) return decided(at_least);
      break;
    case SymOp::eq:
      if (a == b || less || greater) return decided(a == b);
      break;
    default:
      if (a == b || less || greater) return decided(a != b);
      break;
  }
  return Scalar::undecided("a comparison of " + a.to_string() + " with " + b.to_string());
}

bool comparison(SymOp op) {
  return op >= SymOp::eq && op <= SymOp::ge;
}

Result<Scalar> of_floats(SymOp op, double a, double b) {
  switch (op) {
    case SymOp::add:
      return Scalar::of_float(a + b);
    case SymOp::sub:
      return Scalar::of_float(a - b);
    case SymOp::mul:
      return Scalar::of_float(a * b);
    case SymOp::truediv:
      if (b == 0) break;
      return Scalar::of_float(a / b);
    case SymOp::floordiv:
      if (b == 0) break;
      return Scalar::of_float(std::floor(a / b));
    case SymOp::pow:
      return Scalar::of_float(std::pow(a, b));
    case SymOp::max:
      return Scalar::of_float(std::max(a, b));
    case SymOp::min:
      return Scalar::of_float(std::min(a, b));
    case SymOp::eq:
      return Scalar::of_bool(a == b);
    case SymOp::ne:
      return Scalar::of_bool(a != b);
    case SymOp::lt:
      return Scalar::of_bool(a < b);
    case SymOp::le:
      return Scalar::of_bool(a <= b);
    case SymOp::gt:
      return Scalar::of_bool(a > b);
    case SymOp::ge:
      return Scalar::of_bool(a >= b);
    default:
      break;
  }
  return fail(ErrorCode::unsupported, "this arithmetic on floats of the program is not supported");
}

Result<Scalar> of_ints(SymOp op, const Dim& a, const Dim& b, const SymbolRanges& ranges) {
  if ((op == SymOp::floordiv || op == SymOp::mod || op == SymOp::truediv) && b == Dim(0))
    return fail(ErrorCode::file, "a division of sizes by zero");
  const auto wrap = [](Result<Dim> dim) -> Result<Scalar> {
    if (!dim) return fail(std::move(dim).error());
    return Scalar::of(std::move(*dim));
  };
  switch (op) {
    case SymOp::add:
      return wrap(sum_of(a, b, false));
    case SymOp::sub:
      return wrap(sum_of(a, b, true));
    case SymOp::mul:
      return wrap(product(a, b));
    case SymOp::floordiv:
      return Scalar::of(Dim::floordiv(a, b));
    case SymOp::mod:
      return Scalar::of(Dim::mod(a, b));
    case SymOp::pow:
      return wrap(power(a, b));
    case SymOp::lshift: {
      INTAGLIO_TRY(const Dim factor, power(Dim(2), b));
      return wrap(product(a, factor));
    }
    case SymOp::rshift: {
      INTAGLIO_TRY(const Dim divisor, power(Dim(2), b));
      return Scalar::of(Dim::floordiv(a, divisor));
    }
    case SymOp::max:
      return Scalar::of(largest(a, b, ranges));
    case SymOp::min:
      return Scalar::of(smallest(a, b, ranges));
    case SymOp::truediv: {
      if (a.constant() && b.constant())
        return Scalar::of_float(static_cast<double>(*a.constant()) / static_cast<double>(*b.constant()));
      if (const auto exact = Dim::exact_div(a, b)) return Scalar::of(*exact);
      return Scalar::undecided("the quotient " + a.to_string() + " / " + b.to_string());
    }
    default:
      return compare(op, a, b, ranges);
  }
}

Result<Scalar> of_two(Call& c, SymOp op, Scalar a, Scalar b) {
  if (op == SymOp::and_ || op == SymOp::or_) {
    if (a.kind == Kind::boolean && b.kind == Kind::boolean)
      return Scalar::of_bool(op == SymOp::and_ ? a.b && b.b : a.b || b.b);
    const bool absorbing = op == SymOp::or_;
    for (const Scalar* s : {&a, &b}) {
      if (s->kind == Kind::boolean && s->b == absorbing) return Scalar::of_bool(absorbing);
    }
    return Scalar::undecided(a.kind == Kind::unknown ? a.why : b.why);
  }
  if (a.kind == Kind::unknown) return a;
  if (b.kind == Kind::unknown) return b;
  a = as_integer(a), b = as_integer(b);
  if (a.kind == Kind::integer && b.kind == Kind::integer) return of_ints(op, a.i, b.i, c.b.ranges());
  const auto x = a.constant(), y = b.constant();
  if (x && y) return of_floats(op, *x, *y);
  if (comparison(op)) return Scalar::undecided("a comparison of a size with a fraction");
  return Scalar::undecided("a fraction of " + (a.kind == Kind::integer ? a.i : b.i).to_string());
}

Result<Scalar> of_one(SymOp op, const Scalar& s) {
  if (s.kind == Kind::unknown) return s;
  const auto value = s.constant();
  switch (op) {
    case SymOp::not_:
      if (value) return Scalar::of_bool(*value == 0);
      break;
    case SymOp::pos:
      return s;
    case SymOp::neg:
      if (s.kind == Kind::floating) return Scalar::of_float(-s.f);
      if (value == static_cast<double>(INT64_MIN)) return overflow();
      return Scalar::of(Dim(0) - as_integer(s).i);
    case SymOp::to_float:
      // A size that is converted and used as a number again stays exact; where a fraction comes of it, it is undecided.
      return value ? Scalar::of_float(*value) : s;
    case SymOp::to_int:
      if (s.kind != Kind::floating) return as_integer(s);
      if (std::abs(s.f) < 9e15) return Scalar::of(static_cast<std::int64_t>(s.f));
      return overflow();
    case SymOp::sqrt:
      if (value && *value >= 0) return Scalar::of_float(std::sqrt(*value));
      break;
    default:
      break;
  }
  return Scalar::undecided("a function of " + (s.kind == Kind::integer ? s.i.to_string() : std::string("a number")));
}

// Undecided numbers are let through here, so that assertions about them can be ignored.
Result<Scalar> argument(Call& c, const Argument* a) {
  if (a != nullptr && a->kind == Argument::Kind::sym) return c.scope().scalar(a->text);
  if (a == nullptr) return fail(ErrorCode::file, "an argument is missing");
  switch (a->kind) {
    case Argument::Kind::integer:
      return Scalar::of(a->i);
    case Argument::Kind::floating:
      return Scalar::of_float(a->f);
    case Argument::Kind::boolean:
      return Scalar::of_bool(a->i != 0);
    default:
      return fail(ErrorCode::file, "a number was expected");
  }
}

Status sum_list(Call& c) {
  const Argument* list = c.at(0);
  if (list == nullptr || list->kind != Argument::Kind::list) return fail(ErrorCode::file, "sym_sum wants a list");
  Scalar total = Scalar::of(0);
  for (const Argument& item : list->items) {
    INTAGLIO_TRY(const Scalar value, argument(c, &item));
    INTAGLIO_TRY(total, of_two(c, SymOp::add, total, value));
  }
  return c.ret(total);
}

bool one_operand(SymOp op) {
  return op == SymOp::neg || op == SymOp::pos || op == SymOp::not_ || op == SymOp::to_float || op == SymOp::to_int ||
         op == SymOp::sqrt;
}

}  // namespace

Status sym(Call& c, SymOp op) {
  if (op == SymOp::sum) return sum_list(c);
  INTAGLIO_TRY(const Scalar a, argument(c, c.at(0)));
  if (one_operand(op)) {
    INTAGLIO_TRY(const Scalar value, of_one(op, a));
    return c.ret(value);
  }
  INTAGLIO_TRY(const Scalar b, argument(c, c.at(1)));
  if (op == SymOp::ite) {
    INTAGLIO_TRY(const Scalar otherwise, argument(c, c.at(2)));
    if (a.kind != Kind::boolean) return c.ret(Scalar::undecided("a choice by " + a.why));
    return c.ret(a.b ? b : otherwise);
  }
  INTAGLIO_TRY(const Scalar value, of_two(c, op, a, b));
  return c.ret(value);
}

Status sym_size(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::int64_t axis, c.axis("dim", x->rank()));
  if (x->rank() == 0) return fail(ErrorCode::file, "a tensor without dimensions has no sizes");
  return c.ret(Scalar::of(x->shape()[static_cast<std::size_t>(axis)]));
}

Status sym_numel(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  return c.ret(Scalar::of(element_count(x->shape())));
}

}  // namespace intaglio::frontend::pt2::ops
