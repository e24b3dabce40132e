// --dtype bf16: f32 values between the linears become bf16.
// Before:  %y = linear(%x, %w, %b)                           (f32)
// After:   %x16 = cast(%x), %y16 = linear(%x16, %w16, %b), %y = cast(%y16)
//          and so on along the graph: an op on such a %y, if it may run in bf16 (table below), reads %y16 itself.
// bf16 begins at linears and attention and spreads to what is computed from their results; everything else (embeddings,
// masks, positions, pooled sums, the graph's inputs and outputs) stays f32. Biases and norms' parameters stay f32 too.
// Finite values stay finite: what bf16 would round to infinity (the lowest f32 of a mask) becomes its largest value.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "base/half.h"
#include "passes/rewrite.h"

namespace intaglio::passes {

Result<int> lower_precision(ir::Graph& graph, PassContext& context);

namespace {

constexpr double kLargest = 3.3895313892515355e38;  // of bf16
constexpr std::int64_t kFewRows = 8;                // linears of positions and the like stay f32

enum class Role : std::uint8_t {
  begins,  // runs in bf16 wherever it is
  spreads  // runs in bf16 if an operand is bf16 already
};
// An op that may run in bf16, and which of its operands become bf16 then (bit i: operand i).
struct Rule {
  ir::Op op;
  Role role;
  unsigned operands;
};
constexpr unsigned kAll = ~0u;
constexpr Rule kRules[] = {
    {ir::Op::linear, Role::begins, 0b1011},  // not the bias
    {ir::Op::quantized_linear, Role::begins, 0b10000001},
    {ir::Op::attention, Role::begins, 0b0111},  // not the mask
    {ir::Op::attention_packed, Role::begins, 0b01},
    {ir::Op::matmul, Role::spreads, kAll},
    {ir::Op::layer_norm, Role::spreads, 0b001},
    {ir::Op::rms_norm, Role::spreads, 0b01},
    {ir::Op::rotary, Role::spreads, 0b001},  // not the tables
    {ir::Op::softmax, Role::spreads, kAll},
    {ir::Op::gelu, Role::spreads, kAll},
    {ir::Op::silu, Role::spreads, kAll},
    {ir::Op::relu, Role::spreads, kAll},
    {ir::Op::sigmoid, Role::spreads, kAll},
    {ir::Op::tanh, Role::spreads, kAll},
    {ir::Op::neg, Role::spreads, kAll},
    {ir::Op::hard_swish, Role::spreads, kAll},
    {ir::Op::add, Role::spreads, kAll},
    {ir::Op::sub, Role::spreads, kAll},
    {ir::Op::mul, Role::spreads, kAll},
    {ir::Op::where, Role::spreads, 0b110},
    {ir::Op::reshape, Role::spreads, kAll},
    {ir::Op::transpose, Role::spreads, kAll},
    {ir::Op::expand, Role::spreads, kAll},
    {ir::Op::slice, Role::spreads, kAll},
    {ir::Op::concat, Role::spreads, kAll},
    {ir::Op::gather, Role::spreads, 0b01},
};

const Rule* rule_of(ir::Op op) {
  const auto* found = std::ranges::find(kRules, op, &Rule::op);
  return found == std::end(kRules) ? nullptr : found;
}

bool is_f32(const ir::Value* value) {
  return value != nullptr && value->dtype() == DType::f32;
}

// The bf16 value that this f32 value was widened from, or nullptr.
ir::Value* narrow_source(const ir::Value* value) {
  const ir::Node* cast = is_f32(value) ? made_by(value, ir::Op::cast) : nullptr;
  return cast != nullptr && cast->input(0)->dtype() == DType::bf16 ? cast->input(0) : nullptr;
}

// where(m, 0, -inf): its values are exact in bf16, and rows that it hides wholly are meant to be NaN.
bool is_infinite_mask(const ir::Value* value) {
  const ir::Node* where = made_by(value, ir::Op::where);
  if (where == nullptr) return false;
  return std::ranges::all_of(where->inputs().subspan(1), [](const ir::Value* side) {
    const auto splat = splat_value(side);
    return splat && (*splat == 0 || std::isinf(*splat));
  });
}

class Narrower {
 public:
  Narrower(ir::Graph& graph, PassContext& context) : graph_(graph), context_(context) {}

  Result<bool> rewrite(ir::Node& node) {
    const Rule* rule = rule_of(node.op());
    if (rule == nullptr || !may_run(*rule, node)) return false;
    ir::NodeSpec spec{
        node.op(), {node.inputs().begin(), node.inputs().end()}, node.attrs(), node.origin(), node.output()->name(),
        {}};
    for (std::size_t i = 0; i < spec.inputs.size(); ++i) {
      if (!narrows(*rule, i) || !is_f32(spec.inputs[i])) continue;
      INTAGLIO_TRY(spec.inputs[i], narrowed(spec.inputs[i], node));
    }
    if (node.op() == ir::Op::quantized_linear) spec.attrs.set("to", DType::bf16);
    INTAGLIO_TRY(ir::Node * lowered, graph_.add(std::move(spec), &node));
    INTAGLIO_TRY(ir::Value * wide, cast(lowered->output(), DType::f32, node));
    graph_.replace_all_uses(node.output(), wide);
    if (rule->role == Role::begins) context_.applied("bf16", *lowered);
    const std::set<ir::Value*> inputs(node.inputs().begin(), node.inputs().end());  // one may be several operands
    graph_.erase(&node);
    for (ir::Value* input : inputs) {
      if (input != nullptr && input->is_constant() && input->uses().empty() && casts_.erase(input) != 0)
        graph_.erase_constant(input);
    }
    return true;
  }

 private:
  static bool narrows(const Rule& rule, std::size_t operand) {
    return (rule.operands >> std::min<std::size_t>(operand, 31) & 1u) != 0;
  }

  static bool may_run(const Rule& rule, const ir::Node& node) {
    if (!is_f32(node.output())) return false;
    if (node.op() == ir::Op::linear) {
      const ir::Value* weight = node.input(1);
      const auto sizes = constant_values(weight->shape());
      return weight->is_constant() && sizes && (*sizes)[node.attrs().b("transposed") ? 1 : 0] >= kFewRows;
    }
    if (rule.role == Role::begins) return true;
    for (std::size_t i = 0; i < node.inputs().size(); ++i) {
      if (narrows(rule, i) && narrow_source(node.input(i)) != nullptr) return true;
    }
    return false;
  }

  Result<ir::Value*> cast(ir::Value* value, DType to, ir::Node& before) {
    return graph_.add1({ir::Op::cast, {value}, {{"to", to}}, before.origin(), value->name(), {}}, &before);
  }

  Result<ir::Value*> narrowed(ir::Value* value, ir::Node& before) {
    if (ir::Value* source = narrow_source(value); source != nullptr) return source;
    if (value->is_constant()) return constant(*value);
    if (const auto found = casts_.find(value); found != casts_.end()) return found->second;
    ir::Value* finite = value;
    // Masks that are added or chosen; results of norms and activations are never that large.
    const bool mask = before.op() == ir::Op::add || before.op() == ir::Op::sub || before.op() == ir::Op::where;
    if (mask && !is_infinite_mask(value)) {
      INTAGLIO_TRY(
          finite,
          graph_.add1(
              {ir::Op::clamp, {value}, {{"min", -kLargest}, {"max", kLargest}}, before.origin(), value->name(), {}},
              &before));
    }
    INTAGLIO_TRY(ir::Value * narrow, cast(finite, DType::bf16, before));
    if (finite == value) casts_.emplace(value, narrow);
    return narrow;
  }

  // Weights are rounded here rather than by folding a cast: they are most of the model.
  Result<ir::Value*> constant(ir::Value& value) {
    if (const auto found = casts_.find(&value); found != casts_.end()) return found->second;
    const ir::Tensor& wide = value.constant();
    std::byte* out = nullptr;
    INTAGLIO_TRY(ir::Tensor narrow, ir::Tensor::allocate(DType::bf16, wide.shape, &out));
    for (std::int64_t i = 0; i < wide.element_count(); ++i) {
      const float element = wide.load<float>(i);
      const auto limit = static_cast<float>(kLargest);
      const BFloat16 rounded = to_bfloat16(std::isfinite(element) ? std::clamp(element, -limit, limit) : element);
      std::memcpy(out + i * 2, &rounded, 2);
    }
    graph_.release_pages(wide);
    ir::Value* added = graph_.add_constant(std::move(narrow), value.name() + "_bf16");
    casts_.emplace(&value, added);
    return added;
  }

  ir::Graph& graph_;
  PassContext& context_;
  std::map<const ir::Value*, ir::Value*> casts_;  // of values that were not bf16 before
};

}  // namespace

Result<int> lower_precision(ir::Graph& graph, PassContext& context) {
  if (context.options().precision.dtype != DType::bf16) return 0;
  Narrower narrower(graph, context);
  return for_each_node(graph, [&](ir::Node& node) { return narrower.rewrite(node); });
}

}  // namespace intaglio::passes
