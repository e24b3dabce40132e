// Elementwise operators. PyTorch's type promotion decides the dtype that operands meet in (promote.h).
#include <cmath>
#include <limits>
#include <numbers>

#include "frontend/pt2/ops.h"
#include "frontend/pt2/promote.h"

namespace intaglio::frontend::pt2::ops {
namespace {

using ir::Op;

// self as a float tensor.
MaybeValue float_self(Call& c, std::string_view name = "self") {
  INTAGLIO_TRY(ir::Value * x, c.tensor(name));
  return c.b.cast(x, float_type(x->dtype()));
}

struct Pair {
  ir::Value* a = nullptr;
  ir::Value* b = nullptr;
  DType dtype = DType::f32;
};

Result<Pair> meet(Call& c, const Operand& a, const Operand& b, DType dtype) {
  Pair pair{.dtype = dtype};
  INTAGLIO_TRY(pair.a, as_value(c.b, a, dtype));
  INTAGLIO_TRY(pair.b, as_value(c.b, b, dtype));
  return pair;
}

Result<Pair> promoted(Call& c, std::string_view left = "self", std::string_view right = "other") {
  INTAGLIO_TRY(const Operand a, c.operand(left));
  INTAGLIO_TRY(const Operand b, c.operand(right));
  const Operand both[] = {a, b};
  return meet(c, a, b, result_type(both));
}

// bool has no arithmetic of its own in torch: + is or, * is and, and minimum and maximum follow.
Op for_bool(Op op) {
  switch (op) {
    case Op::add:
    case Op::maximum:
      return Op::logical_or;
    case Op::mul:
    case Op::minimum:
      return Op::logical_and;
    default:
      return op;
  }
}

MaybeValue apply(Builder& b, Op op, const Pair& pair) {
  return b.op(pair.dtype == DType::boolean ? for_bool(op) : op, {pair.a, pair.b});
}

// a op alpha * b
Status scaled(Call& c, Op op, std::string_view left, std::string_view right) {
  INTAGLIO_TRY(Pair pair, promoted(c, left, right));
  INTAGLIO_TRY(const Scalar alpha, c.number("alpha", Scalar::of(1)));
  if (alpha.constant() != 1.0) {
    INTAGLIO_TRY(ir::Value * factor, scalar_value(c.b, alpha, pair.dtype));
    INTAGLIO_TRY(pair.b, c.b.mul(pair.b, factor));
  }
  return c.ret(apply(c.b, op, pair));
}

MaybeValue floor_quotient(Builder& b, const Pair& pair) {
  if (is_floating(pair.dtype)) return b.op(Op::floor, {b.div(pair.a, pair.b)});
  // (a - mod(a, b)) / b is exact, so that truncation and flooring agree.
  return b.div(b.sub(pair.a, b.op(Op::mod, {pair.a, pair.b}, {{"fmod", false}})), pair.b);
}

Status modulo(Call& c, bool fmod) {
  INTAGLIO_TRY(const Pair pair, promoted(c));
  return c.ret(c.b.op(Op::mod, {pair.a, pair.b}, {{"fmod", fmod}}));
}

Status logical(Call& c, Op op) {
  INTAGLIO_TRY(ir::Value * a, c.b.cast(c.tensor("self"), DType::boolean));
  INTAGLIO_TRY(ir::Value * b, c.b.cast(c.tensor("other"), DType::boolean));
  return c.ret(c.b.op(op, {a, b}));
}

Status rounding(Call& c, Op op) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  return c.ret(is_floating(x->dtype()) ? c.b.op(op, {x}) : MaybeValue(x));
}

MaybeValue clamped(Builder& b, const MaybeValue& x, double low, double high) {
  return b.op(Op::clamp, {x}, {{"min", low}, {"max", high}});
}

Status float_classifier(Call& c, Op op) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (!is_floating(x->dtype())) return c.ret(c.b.full(x->shape(), 0, DType::boolean));
  return c.ret(c.b.op(op, {x}));
}

}  // namespace

Status unary(Call& c, Op op, bool keep_integers) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  return c.ret(c.b.op(op, {keep_integers ? MaybeValue(x) : c.b.cast(x, float_type(x->dtype()))}));
}

Status binary(Call& c, Op op) {
  INTAGLIO_TRY(const Pair pair, promoted(c));
  return c.ret(apply(c.b, op, pair));
}

Status floor_op(Call& c) {
  return rounding(c, Op::floor);
}
Status ceil_op(Call& c) {
  return rounding(c, Op::ceil);
}

Status round_op(Call& c) {
  INTAGLIO_TRY(const std::int64_t decimals, c.integer("decimals", 0));
  if (decimals != 0) return fail(ErrorCode::unsupported, "round with decimals is not supported");
  return rounding(c, Op::round);
}

Status trunc_op(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (!is_floating(x->dtype())) return c.ret(x);
  return c.ret(c.b.where(c.b.op(Op::lt, {x, c.b.scalar_like(0, x)}), c.b.op(Op::ceil, {x}), c.b.op(Op::floor, {x})));
}

Status gelu(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const std::string_view approximate, c.string("approximate", "none"));
  return c.ret(c.b.op(Op::gelu, {x}, {{"approximate", std::string(approximate)}}));
}

Status hard_sigmoid(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  return c.ret(c.b.op(Op::hard_sigmoid, {x}, {{"alpha", 1.0 / 6}, {"beta", 0.5}}));
}

Status hardtanh(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(const double low, c.floating("min_val", -1));
  INTAGLIO_TRY(const double high, c.floating("max_val", 1));
  return c.ret(clamped(c.b, x, low, high));
}

Status relu6(Call& c) {
  return c.ret(clamped(c.b, c.tensor("self"), 0, 6));
}

Status leaky_relu(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  INTAGLIO_TRY(const double slope, c.floating("negative_slope", 0.01));
  return c.ret(c.b.where(c.b.op(Op::gt, {x, c.b.scalar_like(0, x)}), x, c.b.mul(x, slope)));
}

Status elu(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  INTAGLIO_TRY(const double alpha, c.floating("alpha", 1));
  INTAGLIO_TRY(const double scale, c.floating("scale", 1));
  INTAGLIO_TRY(const double input_scale, c.floating("input_scale", 1));
  const MaybeValue negative = c.b.mul(c.b.add(c.b.op(Op::exp, {c.b.mul(x, input_scale)}), -1.0), alpha * scale);
  return c.ret(c.b.where(c.b.op(Op::gt, {x, c.b.scalar_like(0, x)}), c.b.mul(x, scale), negative));
}

Status softplus(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  INTAGLIO_TRY(const double beta, c.floating("beta", 1));
  INTAGLIO_TRY(const double threshold, c.floating("threshold", 20));
  const MaybeValue scaled_x = c.b.mul(x, beta);
  const MaybeValue soft = c.b.div(c.b.op(Op::log, {c.b.add(c.b.op(Op::exp, {scaled_x}), 1.0)}), beta);
  return c.ret(c.b.where(c.b.op(Op::gt, {scaled_x, c.b.scalar_like(threshold, x)}), x, soft));
}

Status mish(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  const MaybeValue soft = c.b.op(Op::log, {c.b.add(c.b.op(Op::exp, {x}), 1.0)});
  // exp overflows long before tanh(softplus(x)) differs from 1.
  const MaybeValue safe = c.b.where(c.b.op(Op::gt, {x, c.b.scalar_like(20, x)}), x, soft);
  return c.ret(c.b.mul(x, c.b.tanh(safe)));
}

// log1p and expm1 keep the digits that the plain forms lose near 0, by Kahan's corrections.
Status log1p(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  INTAGLIO_TRY(ir::Value * u, c.b.add(x, 1.0));
  const MaybeValue one = c.b.scalar_like(1, u);
  const MaybeValue corrected = c.b.div(c.b.mul(c.b.op(Op::log, {u}), x), c.b.sub(u, one));
  const MaybeValue exact = c.b.where(c.b.op(Op::isinf, {u}), u, corrected);
  return c.ret(c.b.where(c.b.op(Op::eq, {u, one}), x, exact));
}

Status expm1(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  // tanh(x/2) * (e^x + 1) = e^x - 1 without cancellation; e^x - 1 itself far from 0, where tanh is 1 or e^x infinite.
  const MaybeValue e = c.b.op(Op::exp, {x});
  const MaybeValue near = c.b.mul(c.b.tanh(c.b.mul(x, 0.5)), c.b.add(e, 1.0));
  return c.ret(c.b.where(c.b.op(Op::lt, {c.b.op(Op::abs, {x}), c.b.scalar_like(1, x)}), near, c.b.add(e, -1.0)));
}

Status exp2(Call& c) {
  INTAGLIO_TRY(ir::Value * x, float_self(c));
  return c.ret(c.b.pow(c.b.scalar_like(2, x), x));
}

Status log2(Call& c) {
  return c.ret(c.b.mul(c.b.op(Op::log, {float_self(c)}), std::numbers::log2e));
}
Status log10(Call& c) {
  return c.ret(c.b.mul(c.b.op(Op::log, {float_self(c)}), std::numbers::log10e));
}

Status square(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  return c.ret(c.b.mul(x, x));
}

// Bounds are numbers or tensors, and each may be absent; they take part in promotion.
Status clamp(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  std::vector<Operand> operands{Operand{.tensor = x, .scalar = {}}};
  std::optional<Operand> low, high;
  if (c.find("min") != nullptr) {
    INTAGLIO_TRY(low, c.operand("min"));
    operands.push_back(*low);
  }
  if (c.find("max") != nullptr) {
    INTAGLIO_TRY(high, c.operand("max"));
    operands.push_back(*high);
  }
  const DType dtype = result_type(operands);
  MaybeValue y = c.b.cast(x, dtype);
  const auto plain = [](const std::optional<Operand>& bound) {
    return !bound || (bound->tensor == nullptr && bound->scalar.constant());
  };
  if (is_floating(dtype) && plain(low) && plain(high)) {
    const double infinity = std::numeric_limits<double>::infinity();
    return c.ret(
        clamped(c.b, y, low ? *low->scalar.constant() : -infinity, high ? *high->scalar.constant() : infinity));
  }
  if (low) y = c.b.maximum(y, as_value(c.b, *low, dtype));
  if (high) y = c.b.minimum(y, as_value(c.b, *high, dtype));
  return c.ret(y);
}

Status isnan(Call& c) {
  return float_classifier(c, Op::isnan);
}
Status isinf(Call& c) {
  return float_classifier(c, Op::isinf);
}

Status isfinite(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (!is_floating(x->dtype())) return c.ret(c.b.full(x->shape(), 1, DType::boolean));
  return c.ret(c.b.logical_not(c.b.op(Op::logical_or, {c.b.op(Op::isnan, {x}), c.b.op(Op::isinf, {x})})));
}

Status nan_to_num(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (!is_floating(x->dtype())) return c.ret(x);
  INTAGLIO_TRY(const double nan, c.floating("nan", 0));
  INTAGLIO_TRY(const double high, c.floating("posinf", highest_of(x->dtype())));
  INTAGLIO_TRY(const double low, c.floating("neginf", lowest_of(x->dtype())));
  const auto number = [&](double value) { return c.b.scalar_like(value, x); };
  const double infinity = std::numeric_limits<double>::infinity();
  MaybeValue y = c.b.where(c.b.op(Op::isnan, {x}), number(nan), x);
  y = c.b.where(c.b.op(Op::eq, {x, number(infinity)}), number(high), y);
  return c.ret(c.b.where(c.b.op(Op::eq, {x, number(-infinity)}), number(low), y));
}

Status add(Call& c) {
  return scaled(c, Op::add, "self", "other");
}
Status sub(Call& c) {
  return scaled(c, Op::sub, "self", "other");
}

// other - alpha * self
Status rsub(Call& c) {
  return scaled(c, Op::sub, "other", "self");
}

Status mul(Call& c) {
  return binary(c, Op::mul);
}

Status div(Call& c) {
  INTAGLIO_TRY(const std::string_view mode, c.string("rounding_mode", ""));
  if (mode == "floor") return floor_divide(c);
  INTAGLIO_TRY(const Operand a, c.operand("self"));
  INTAGLIO_TRY(const Operand b, c.operand("other"));
  const Operand both[] = {a, b};
  const DType dtype = result_type(both);
  INTAGLIO_TRY(const Pair pair, meet(c, a, b, mode.empty() ? float_type(dtype) : dtype));
  INTAGLIO_TRY(ir::Value * y, c.b.div(pair.a, pair.b));
  if (mode.empty() || !is_floating(pair.dtype)) return c.ret(y);
  return c.ret(c.b.where(c.b.op(Op::lt, {y, c.b.scalar_like(0, y)}), c.b.op(Op::ceil, {y}), c.b.op(Op::floor, {y})));
}

Status floor_divide(Call& c) {
  INTAGLIO_TRY(const Pair pair, promoted(c));
  return c.ret(floor_quotient(c.b, pair));
}

Status remainder(Call& c) {
  return modulo(c, false);
}
Status fmod(Call& c) {
  return modulo(c, true);
}

// ATen evaluates the common exponents by multiplication and square roots; so do we.
Status pow(Call& c) {
  INTAGLIO_TRY(const Pair pair, promoted(c, "self", "exponent"));
  INTAGLIO_TRY(const Operand exponent, c.operand("exponent"));
  ir::Value* x = pair.a;
  const double nan = std::numeric_limits<double>::quiet_NaN();  // equal to no exponent below
  const double e = exponent.tensor == nullptr ? exponent.scalar.constant().value_or(nan) : nan;
  const MaybeValue squared = e == 2.0 || e == 3.0 || e == -2.0 ? c.b.mul(x, x) : MaybeValue(x);
  if (e == 1.0) return c.ret(x);
  if (e == 2.0) return c.ret(squared);
  if (e == 3.0) return c.ret(c.b.mul(squared, x));
  if (is_floating(pair.dtype)) {
    if (e == 0.5) return c.ret(c.b.sqrt(x));
    if (e == -0.5) return c.ret(c.b.rsqrt(x));
    if (e == -1.0) return c.ret(c.b.op(Op::reciprocal, {x}));
    if (e == -2.0) return c.ret(c.b.op(Op::reciprocal, {squared}));
  }
  return c.ret(c.b.pow(pair.a, pair.b));
}

Status logical_and(Call& c) {
  return logical(c, Op::logical_and);
}
Status logical_or(Call& c) {
  return logical(c, Op::logical_or);
}
Status logical_xor(Call& c) {
  return logical(c, Op::logical_xor);
}
Status logical_not(Call& c) {
  return c.ret(c.b.logical_not(c.b.cast(c.tensor("self"), DType::boolean)));
}

Status bitwise_not(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  if (x->dtype() == DType::boolean) return c.ret(c.b.logical_not(x));
  return c.ret(c.b.op(Op::logical_xor, {x, scalar_value(c.b, Scalar::of(-1), x->dtype())}));
}

// self + value * a * b and self + value * a / b
namespace {
Status add_scaled(Call& c, Op op) {
  INTAGLIO_TRY(const Operand x, c.operand("self"));
  INTAGLIO_TRY(const Operand a, c.operand("tensor1"));
  INTAGLIO_TRY(const Operand b, c.operand("tensor2"));
  INTAGLIO_TRY(const Scalar value, c.number("value", Scalar::of(1)));
  const Operand all[] = {x, a, b};
  const DType dtype = op == Op::div ? float_type(result_type(all)) : result_type(all);
  MaybeValue left = as_value(c.b, a, dtype);
  if (value.constant() != 1.0) left = c.b.mul(scalar_value(c.b, value, dtype), left);
  return c.ret(c.b.add(as_value(c.b, x, dtype), c.b.op(op, {left, as_value(c.b, b, dtype)})));
}
}  // namespace

Status addcmul(Call& c) {
  return add_scaled(c, Op::mul);
}
Status addcdiv(Call& c) {
  return add_scaled(c, Op::div);
}

Status where(Call& c) {
  INTAGLIO_TRY(ir::Value * condition, c.b.cast(c.tensor("condition"), DType::boolean));
  INTAGLIO_TRY(const Pair pair, promoted(c));
  return c.ret(c.b.where(condition, pair.a, pair.b));
}

Status masked_fill(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor("self"));
  INTAGLIO_TRY(ir::Value * mask, c.b.cast(c.tensor("mask"), DType::boolean));
  INTAGLIO_TRY(const Operand value, c.operand("value"));
  return c.ret(c.b.where(mask, as_value(c.b, value, x->dtype()), x));
}

Status to_dtype(Call& c) {
  INTAGLIO_TRY(ir::Value * x, c.tensor(c.find("self") != nullptr ? "self" : c.find("a") != nullptr ? "a" : "input"));
  INTAGLIO_TRY(const auto dtype, c.dtype());
  return c.ret(c.b.cast(x, dtype.value_or(x->dtype())));
}

Status to_other(Call& c) {
  INTAGLIO_TRY(ir::Value * other, c.tensor("other"));
  return c.ret(c.b.cast(c.tensor("self"), other->dtype()));
}

Status type_as(Call& c) {
  return to_other(c);
}
Status identity(Call& c) {
  return c.ret(c.tensor("self"));
}
Status nothing(Call& c) {
  return c.ret_nothing();
}

Status dropout(Call& c) {
  INTAGLIO_TRY(const bool train, c.boolean("train", false));
  INTAGLIO_TRY(const double p, c.floating("p", 0.5));
  if (train && p != 0) {
    return fail(ErrorCode::unsupported, "dropout in training mode would make the answer random", {},
                "call model.eval() before torch.export.export");
  }
  return c.ret(c.tensor("input"));
}

}  // namespace intaglio::frontend::pt2::ops
