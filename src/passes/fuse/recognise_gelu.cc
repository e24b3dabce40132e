// Before:  %y = x * 0.5 * (1 + erf(x / sqrt 2))                              After:  %y = gelu(%x)
// Before:  %y = x * 0.5 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))        After:  %y = gelu(%x) {approximate="tanh"}
// The three factors x, 0.5 and (1 + ...) may be associated in any way.
#include <cmath>

#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> recognise_gelu(ir::Graph& graph, PassContext& context);

namespace {

constexpr std::string_view kPattern = "gelu";

// One plus f(x): the node of f (erf or tanh), or nullptr.
const ir::Node* one_plus(const ir::Value* value) {
  const ir::Node* add = made_by(value, ir::Op::add);
  if (add == nullptr) return nullptr;
  const auto parts = split_operands(*add, [](const ir::Value* v) { return is_splat(v, 1.0); });
  if (!parts) return nullptr;
  if (const ir::Node* erf = made_by(parts->first, ir::Op::erf)) return erf;
  return made_by(parts->first, ir::Op::tanh);
}

// Is `value` x^3, as pow(x, 3) or products?
bool is_cube(const ir::Value* value, const ir::Value* x) {
  if (const ir::Node* pow = made_by(value, ir::Op::pow)) return pow->input(0) == x && is_splat(pow->input(1), 3.0);
  const ir::Node* mul = made_by(value, ir::Op::mul);
  if (mul == nullptr) return false;
  const auto parts = split_operands(*mul, [&](const ir::Value* v) { return v == x; });
  const ir::Node* square = parts ? made_by(parts->first, ir::Op::mul) : nullptr;
  const ir::Node* power = parts ? made_by(parts->first, ir::Op::pow) : nullptr;
  return (square != nullptr && square->input(0) == x && square->input(1) == x) ||
         (power != nullptr && power->input(0) == x && is_splat(power->input(1), 2.0));
}

bool is_erf_argument(const ir::Value* value, const ir::Value* x) {
  const auto scaled = match_scale(value);
  return scaled && scaled->x == x && std::abs(scaled->factor - std::sqrt(0.5)) < 1e-6;
}

bool is_tanh_argument(const ir::Value* value, const ir::Value* x) {
  const auto scaled = match_scale(value);
  if (!scaled || std::abs(scaled->factor - std::sqrt(2.0 / M_PI)) > 1e-6) return false;
  const ir::Node* add = made_by(scaled->x, ir::Op::add);
  if (add == nullptr) return false;
  const auto parts = split_operands(*add, [&](const ir::Value* v) { return v == x; });
  const auto cubic = parts ? match_scale(parts->first) : std::nullopt;
  return cubic && std::abs(cubic->factor - 0.044715) < 1e-6 && is_cube(cubic->x, x);
}

// The product's factors with nested products and scales flattened: one constant, one (1 + f), one x.
struct Factors {
  double constant = 1;
  std::vector<ir::Value*> values;
  std::vector<const ir::Node*> nodes;
};
void flatten(ir::Value* value, int depth, Factors& factors) {
  ir::Node* mul = made_by(value, ir::Op::mul);
  if (const auto scaled = match_scale(value); scaled && depth > 0) {
    factors.constant *= scaled->factor;
    factors.nodes.push_back(value->producer());
    return flatten(scaled->x, depth - 1, factors);
  }
  if (mul == nullptr || depth == 0) return factors.values.push_back(value);
  factors.nodes.push_back(mul);
  flatten(mul->input(0), depth - 1, factors);
  flatten(mul->input(1), depth - 1, factors);
}

Result<bool> rewrite(ir::Graph& graph, PassContext& context, ir::Node& last) {
  if ((last.op() != ir::Op::mul && last.op() != ir::Op::div) || !is_floating(last.output()->dtype())) return false;
  Factors factors;
  flatten(last.output(), 3, factors);
  if (factors.values.size() != 2) return false;
  ir::Value* x = factors.values[0];
  const ir::Node* f = one_plus(factors.values[1]);
  if (f == nullptr) {
    x = factors.values[1];
    f = one_plus(factors.values[0]);
  }
  if (f == nullptr) return false;
  // The whole product has the factor 1/2; inner products of it are not a GELU yet.
  if (std::abs(factors.constant - 0.5) > 1e-6) return false;
  const bool by_erf = f->op() == ir::Op::erf;
  if (by_erf ? !is_erf_argument(f->input(0), x) : !is_tanh_argument(f->input(0), x)) {
    context.near_miss(
        kPattern, last,
        by_erf ? "the argument of erf is not x / sqrt 2" : "the argument of tanh is not sqrt(2/pi) (x + 0.044715 x^3)");
    return false;
  }
  ir::Attrs attrs{{"approximate", std::string(by_erf ? "none" : "tanh")}};
  INTAGLIO_CHECK(
      replace(graph, context, kPattern, last, {ir::Op::gelu, {x}, std::move(attrs), merge_origins({f, &last})}));
  return true;
}

}  // namespace

Result<int> recognise_gelu(ir::Graph& graph, PassContext& context) {
  return for_each_node(graph, [&](ir::Node& node) { return rewrite(graph, context, node); });
}

}  // namespace intaglio::passes
