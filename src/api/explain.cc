// What a plan tells about itself: alone, at input shapes, and with times.
#include <fmt/format.h>

#include <algorithm>

#include "api/layers.h"
#include "api/model_impl.h"
#include "api/predict.h"

namespace intaglio {
inline namespace v1 {

namespace {

Explanation explain_model(const Model::Impl& model) {
  const plan::Plan& plan = *model.plan;
  Explanation out;
  out.threads = model.pool->size();
  std::vector<internal::NamedStep> named;
  for (const plan::Step& step : plan.steps) {
    const ops::PreparedOp::Facts facts = step.prepared->facts();
    ExplainedStep told;
    told.node = step.node;
    told.origin = step.source;
    told.op = step.op;
    told.kernel = facts.kernel;
    told.isa = facts.isa;
    told.epilogue = facts.epilogue;
    told.threads = out.threads;
    told.products = name_of(facts.products);
    out.steps.push_back(std::move(told));
    named.push_back({step.node, step.source, fmt::format("{} {} {}", step.op, facts.kernel, facts.epilogue)});
  }
  const std::vector<std::string> layers = internal::layers_of(named);
  for (std::size_t i = 0; i < layers.size(); ++i) out.steps[i].layer = layers[i];
  for (const auto& fusion : plan.report.fusions) out.fusions.push_back({fusion.pattern, fusion.node});
  for (const auto& miss : plan.report.near_misses)
    out.near_misses.push_back({miss.pattern, miss.node, miss.reason, {}});
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

int working_threads(const ops::ThreadSplit& split, int threads) {
  if (split.total <= 0) return 1;
  const std::int64_t grains = (split.total + split.grain - 1) / split.grain;
  return static_cast<int>(std::clamp<std::int64_t>(grains, 1, threads));
}

void explain_binding(const ops::Binding& binding, int threads, ExplainedStep& out) {
  out.blocking = binding.blocking_text();
  out.flops = binding.flops;
  out.bytes = binding.bytes;
  if (binding.kernel != nullptr) out.kernel = binding.kernel;
  if (binding.isa != nullptr) out.isa = binding.isa;
  out.threads = working_threads(binding.split, threads);
  if (out.threads > 1) {
    out.split = fmt::format("{} {}", binding.split.what, binding.split.total);
    if (binding.split.grain > 1) out.split += fmt::format(" by {}", binding.split.grain);
  }
}

Explanation explain_bound(const Model::Impl& model, const plan::BoundPlan& bound) {
  Explanation out = explain_model(model);
  const std::vector<std::size_t> live = plan::live_bytes(bound);
  for (std::size_t i = 0; i < bound.steps.size(); ++i) {
    explain_binding(*bound.steps[i].binding, out.threads, out.steps[i]);
    out.steps[i].arena_bytes = live[i];
  }
  out.bindings = bound.distinct_bindings;
  out.barriers = bound.barriers;
  out.arena_bytes = bound.arena_bytes;
  out.arena_lower_bound_bytes = bound.arena_lower_bound;
  return out;
}

}  // namespace

Explanation Model::explain() const {
  return explain_model(*impl_);
}

Explanation Model::explain(std::span<const v1::Shape> input_shapes) const {
  const auto bound = internal::unwrap(plan::bind(*impl_->plan, input_shapes, internal::bind_options(*impl_)));
  return explain_bound(*impl_, *bound);
}

Explanation Model::explain(std::span<const TensorView> inputs, int runs) const {
  if (runs < 1) throw v1::Error(v1::ErrorCode::usage, "times need at least one run", "explain");
  std::vector<v1::Shape> shapes;
  for (const TensorView& input : inputs) shapes.emplace_back(input.shape.begin(), input.shape.end());
  const auto bound = internal::unwrap(plan::bind(*impl_->plan, shapes, internal::bind_options(*impl_)));
  Explanation out = explain_bound(*impl_, *bound);
  internal::add_times(*this, *impl_->plan, *bound, inputs, runs, out);
  return out;
}

}  // namespace v1
}  // namespace intaglio
