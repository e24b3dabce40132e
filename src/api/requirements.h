// --require: which steps fall short, and why. Internal to api/.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cpu/machine.h"
#include "ops/candidate.h"
#include "plan/binding.h"

namespace intaglio::internal {

// One step as it would run.
struct StepKernel {
  std::string node, op;  // names of the model's nodes, "a; b"; the family
  ops::Products products = ops::Products::none;
  std::string kernel, isa;
};
// Of a plan: at the bound shapes if there are any, else as prepared.
std::vector<StepKernel> step_kernels(const plan::Plan& plan, const plan::BoundPlan* bound);

// What falls short of the requirement, an item per node: a pure function of the steps, of what the compiler noted, and
// of whether this process may use AMX. Empty: it holds. The requirement is one of v1::requirement_names()
// (precondition).
std::vector<std::string> shortfalls(std::string_view requirement, std::span<const StepKernel> steps,
                                    const plan::Report& report, const cpu::Amx& amx);

}  // namespace intaglio::internal
