// What a plan tells about itself.
#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

namespace {

Explanation explain_model(const Model::Impl& model) {
  const plan::Plan& plan = *model.plan;
  const int threads = model.pool->size();
  Explanation out;
  for (const plan::Step& step : plan.steps) {
    const ops::PreparedOp::Facts facts = step.prepared->facts();
    out.steps.push_back({step.node, step.source, step.op, facts.kernel, facts.isa, "", facts.epilogue, threads, 0, 0});
  }
  for (const auto& fusion : plan.report.fusions) out.fusions.push_back({fusion.pattern, fusion.node});
  for (const auto& miss : plan.report.near_misses) out.near_misses.push_back({miss.pattern, miss.node, miss.reason});
  for (const auto& fallback : plan.report.fallbacks) out.fallbacks.push_back({fallback.node, fallback.reason});
  for (const auto& kept : plan.report.kept_float) out.kept_float.push_back({kept.rule, kept.node});
  out.weight_bytes = model.facts.weight_bytes;
  out.packed_weights = model.facts.packed_weights;
  out.packed_bytes = model.facts.packed_bytes;
  out.packs = model.facts.packs;
  out.packs_since = ops::pack_counters().packs - model.packs_when_made;
  out.huge_page_bytes = model.facts.huge_page_bytes;
  out.huge_pages_refused = model.facts.huge_pages_refused;
  return out;
}

}  // namespace

Explanation Model::explain() const {
  return explain_model(*impl_);
}

Explanation Model::explain(std::span<const v1::Shape> input_shapes) const {
  const auto bound = internal::unwrap(plan::bind(*impl_->plan, input_shapes, {.threads = impl_->pool->size()}));
  Explanation out = explain_model(*impl_);
  for (std::size_t i = 0; i < bound->steps.size(); ++i) {
    const ops::Binding& binding = *bound->steps[i].binding;
    out.steps[i].blocking = binding.blocking_text();
    out.steps[i].flops = binding.flops;
    out.steps[i].bytes = binding.bytes;
  }
  out.bindings = bound->distinct_bindings;
  out.barriers = bound->barriers;
  out.arena_bytes = bound->arena_bytes;
  out.arena_lower_bound_bytes = bound->arena_lower_bound;
  return out;
}

}  // namespace v1
}  // namespace intaglio
