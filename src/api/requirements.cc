#include "api/requirements.h"

#include <fmt/format.h>

#include <algorithm>

#include "api/model_impl.h"
#include "api/node_names.h"

namespace intaglio::internal {

namespace {

using ops::Products;

// What the checks of single steps may look at besides the step.
struct Circumstances {
  const plan::Report& report;
  const cpu::Amx& amx;
};

std::string as_item(const StepKernel& it, const std::string& why) {
  return fmt::format("{} ({}: {} products, kernel {}, isa {}; {})", it.node, it.op, name_of(it.products), it.kernel,
                     it.isa, why);
}

const plan::KeptFloat* kept_by_rule(const plan::Report& report, const StepKernel& it) {
  const auto& kept = report.kept_float;
  const auto found = std::ranges::find_if(kept, [&](const auto& one) { return shares_name(one.node, it.node); });
  return found == kept.end() ? nullptr : &*found;
}

// What the compiler noted about a node, else `otherwise`.
std::string noted_reason(const plan::Report& report, const StepKernel& it, const std::string& otherwise) {
  for (const auto& miss : report.near_misses) {
    if (shares_name(miss.node, it.node)) return miss.pattern + ": " + miss.reason;
  }
  for (const auto& fallback : report.fallbacks) {
    if (shares_name(fallback.node, it.node)) return fallback.reason;
  }
  return otherwise;
}

// Each check: why the step falls short; empty if it does not. Only steps that multiply matrices are asked.
std::string not_bf16(const Circumstances& now, const StepKernel& it) {
  if (it.products == Products::bf16 || it.products == Products::int8) return {};
  if (now.report.dtype != "bf16") return "compiled with --dtype " + now.report.dtype;
  return noted_reason(now.report, it, "this kernel has no products of bf16");
}

std::string not_int8(const Circumstances& now, const StepKernel& it) {
  if (it.op != "linear" && it.op != "quantized_linear") return {};
  if (it.products == Products::int8) return {};
  if (const plan::KeptFloat* kept = kept_by_rule(now.report, it)) {
    return kept->rule.find("--keep-float") != std::string::npos ? "" : "kept in floating point: " + kept->rule;
  }
  if (now.report.quantize == "none") return "compiled without --quantize dynamic";
  return noted_reason(now.report, it, "it is not quantised");
}

std::string not_amx(const Circumstances& now, const StepKernel& it) {
  if (it.isa == "amx") return {};
  if (!now.amx.usable) return "AMX is not usable" + (now.amx.reason.empty() ? "" : ": " + now.amx.reason);
  return noted_reason(now.report, it, "no kernel of AMX for these types and shapes");
}

using Check = std::string (*)(const Circumstances&, const StepKernel&);
struct Requirement {
  const char* name;
  Check check;  // nullptr: of the plan's report
};
constexpr Requirement kRequirements[] = {
    {"bf16", not_bf16}, {"int8", not_int8}, {"fused", nullptr}, {"amx", not_amx}, {"no-fallback", nullptr}};

}  // namespace

std::vector<StepKernel> step_kernels(const plan::Plan& plan, const plan::BoundPlan* bound) {
  std::vector<StepKernel> out;
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const ops::PreparedOp::Facts facts = plan.steps[i].prepared->facts();
    StepKernel it{plan.steps[i].node, plan.steps[i].op, facts.products, facts.kernel, facts.isa};
    if (bound != nullptr) {
      const ops::Binding& binding = *bound->steps[i].binding;
      if (binding.kernel != nullptr) it.kernel = binding.kernel;
      if (binding.isa != nullptr) it.isa = binding.isa;
    }
    out.push_back(std::move(it));
  }
  return out;
}

std::vector<std::string> shortfalls(std::string_view requirement, std::span<const StepKernel> steps,
                                    const plan::Report& report, const cpu::Amx& amx) {
  std::vector<std::string> items;
  if (const Check check = std::ranges::find(kRequirements, requirement, &Requirement::name)->check) {
    for (const StepKernel& it : steps) {
      if (it.products == Products::none) continue;
      if (const std::string why = check({report, amx}, it); !why.empty()) items.push_back(as_item(it, why));
    }
  } else if (requirement == "fused") {
    for (const auto& miss : report.near_misses)
      items.push_back(miss.node + " (" + miss.pattern + ": " + miss.reason + ")");
  } else {
    for (const auto& fallback : report.fallbacks) items.push_back(fallback.node + " (" + fallback.reason + ")");
  }
  return items;
}

void check_requirements(const plan::Plan& plan, const std::vector<std::string>& require, const plan::BoundPlan* bound) {
  if (require.empty()) return;
  const std::vector<StepKernel> steps = step_kernels(plan, bound);
  for (const std::string& name : require) {
    if (std::ranges::find(kRequirements, name, &Requirement::name) == std::end(kRequirements)) {
      throw v1::Error(v1::ErrorCode::usage, "'" + name + "' cannot be required", "--require",
                      fmt::format("legal: {}", fmt::join(v1::requirement_names(), ", ")));
    }
    const std::vector<std::string> items = shortfalls(name, steps, plan.report, cpu::detect().amx);
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
