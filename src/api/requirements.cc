// --require: what must hold of a plan, and the nodes that fall short.
#include <fmt/format.h>

#include <algorithm>

#include "api/model_impl.h"
#include "api/node_names.h"

namespace intaglio::internal {

namespace {

using ops::Products;

// One step as it would run: at the bound shapes if there are any.
struct StepKernel {
  const plan::Step& step;
  Products products;
  std::string kernel, isa;
};

std::string as_item(const StepKernel& it, const std::string& why) {
  return fmt::format("{} ({}: {} products, kernel {}, isa {}; {})", it.step.node, it.step.op, name_of(it.products),
                     it.kernel, it.isa, why);
}

const plan::KeptFloat* kept_by_rule(const plan::Plan& plan, const plan::Step& step) {
  const auto& kept = plan.report.kept_float;
  const auto found = std::ranges::find_if(kept, [&](const auto& one) { return shares_name(one.node, step.node); });
  return found == kept.end() ? nullptr : &*found;
}

// What the compiler noted about a node, else `otherwise`.
std::string noted_reason(const plan::Plan& plan, const plan::Step& step, const std::string& otherwise) {
  for (const auto& miss : plan.report.near_misses) {
    if (shares_name(miss.node, step.node)) return miss.pattern + ": " + miss.reason;
  }
  for (const auto& fallback : plan.report.fallbacks) {
    if (shares_name(fallback.node, step.node)) return fallback.reason;
  }
  return otherwise;
}

// Each check: why the step falls short; empty if it does not. Only steps that multiply matrices are asked.
std::string not_bf16(const plan::Plan& plan, const StepKernel& it) {
  if (it.products == Products::bf16 || it.products == Products::int8) return {};
  if (plan.report.dtype != "bf16") return "compiled with --dtype " + plan.report.dtype;
  return noted_reason(plan, it.step, "this kernel has no products of bf16");
}

std::string not_int8(const plan::Plan& plan, const StepKernel& it) {
  if (it.step.op != "linear" && it.step.op != "quantized_linear") return {};
  if (it.products == Products::int8) return {};
  if (const plan::KeptFloat* kept = kept_by_rule(plan, it.step)) {
    return kept->rule.find("--keep-float") != std::string::npos ? "" : "kept in floating point: " + kept->rule;
  }
  if (plan.report.quantize == "none") return "compiled without --quantize dynamic";
  return noted_reason(plan, it.step, "it is not quantised");
}

std::string not_amx(const plan::Plan& plan, const StepKernel& it) {
  if (it.isa == "amx") return {};
  const cpu::Machine& machine = cpu::detect();
  if (!machine.amx.usable)
    return "AMX is not usable" + (machine.amx.reason.empty() ? "" : ": " + std::string(machine.amx.reason));
  return noted_reason(plan, it.step, "no kernel of AMX for these types and shapes");
}

using Check = std::string (*)(const plan::Plan&, const StepKernel&);
struct Requirement {
  const char* name;
  Check check;  // nullptr: of the plan's report
};
constexpr Requirement kRequirements[] = {
    {"bf16", not_bf16}, {"int8", not_int8}, {"fused", nullptr}, {"amx", not_amx}, {"no-fallback", nullptr}};

std::vector<std::string> steps_short(const plan::Plan& plan, const plan::BoundPlan* bound, Check check) {
  std::vector<std::string> items;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const ops::PreparedOp::Facts facts = plan.steps[i].prepared->facts();
    StepKernel it{plan.steps[i], facts.products, facts.kernel, facts.isa};
    if (bound != nullptr) {
      const ops::Binding& binding = *bound->steps[i].binding;
      if (binding.kernel != nullptr) it.kernel = binding.kernel;
      if (binding.isa != nullptr) it.isa = binding.isa;
    }
    if (it.products == Products::none) continue;
    if (const std::string why = check(plan, it); !why.empty()) items.push_back(as_item(it, why));
  }
  return items;
}

std::vector<std::string> shortfalls(const plan::Plan& plan, const plan::BoundPlan* bound, const Requirement& what) {
  if (what.check != nullptr) return steps_short(plan, bound, what.check);
  std::vector<std::string> items;
  if (what.name == std::string_view("fused")) {
    for (const auto& miss : plan.report.near_misses)
      items.push_back(miss.node + " (" + miss.pattern + ": " + miss.reason + ")");
  } else {
    for (const auto& fallback : plan.report.fallbacks) items.push_back(fallback.node + " (" + fallback.reason + ")");
  }
  return items;
}

}  // namespace

void check_requirements(const plan::Plan& plan, const std::vector<std::string>& require, const plan::BoundPlan* bound) {
  for (const std::string& name : require) {
    const auto* const what = std::ranges::find(kRequirements, name, &Requirement::name);
    if (what == std::end(kRequirements)) {
      throw v1::Error(v1::ErrorCode::usage, "'" + name + "' cannot be required", "--require",
                      fmt::format("legal: {}", fmt::join(v1::requirement_names(), ", ")));
    }
    const std::vector<std::string> items = shortfalls(plan, bound, *what);
    if (items.empty()) continue;
    throw v1::Error(v1::ErrorCode::requirement, fmt::format("'{}' does not hold for: {}", name, fmt::join(items, "; ")),
                    plan.report.model, "see 'intaglio explain' for every step");
  }
}

}  // namespace intaglio::internal

namespace intaglio {
inline namespace v1 {

std::vector<std::string> requirement_names() {
  std::vector<std::string> names;
  for (const auto& what : internal::kRequirements) names.emplace_back(what.name);
  return names;
}

void Model::require(const std::vector<std::string>& names, std::span<const v1::Shape> input_shapes) const {
  if (names.empty()) return;
  const auto bound = internal::unwrap(plan::bind(*impl_->plan, input_shapes, {.threads = impl_->pool->size()}));
  internal::check_requirements(*impl_->plan, names, bound.get());
}

}  // namespace v1
}  // namespace intaglio
