// What a plan tells about itself.
#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

namespace {

Explanation explain_plan(const plan::Plan& plan, int threads) {
  Explanation out;
  for (const plan::Step& step : plan.steps) {
    const ops::PreparedOp::Facts facts = step.prepared->facts();
    out.steps.push_back({step.node, step.source, step.op, facts.kernel, facts.isa, "", facts.epilogue, threads, 0, 0});
  }
  for (const auto& fusion : plan.report.fusions) out.fusions.push_back({fusion.pattern, fusion.node});
  for (const auto& miss : plan.report.near_misses) out.near_misses.push_back({miss.pattern, miss.node, miss.reason});
  for (const auto& fallback : plan.report.fallbacks) out.fallbacks.push_back({fallback.node, fallback.reason});
  out.weight_bytes = plan.weight_bytes();
  return out;
}

}  // namespace

Explanation Model::explain() const {
  return explain_plan(*impl_->plan, impl_->pool->size());
}

Explanation Model::explain(std::span<const v1::Shape> input_shapes) const {
  Explanation out = explain_plan(*impl_->plan, impl_->pool->size());
  const auto bound = internal::unwrap(plan::bind(*impl_->plan, input_shapes, {.threads = impl_->pool->size()}));
  for (std::size_t i = 0; i < bound->steps.size(); ++i) {
    const ops::Binding& binding = *bound->steps[i].binding;
    out.steps[i].blocking = binding.blocking_text();
    out.steps[i].flops = binding.flops;
    out.steps[i].bytes = binding.bytes;
  }
  out.arena_bytes = bound->arena_bytes;
  out.arena_lower_bound_bytes = bound->arena_lower_bound;
  return out;
}

}  // namespace v1
}  // namespace intaglio
