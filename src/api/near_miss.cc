#include "api/near_miss.h"

#include <algorithm>
#include <span>
#include <vector>

#include "api/node_names.h"

namespace intaglio::internal {

namespace {

double bytes_of(const plan::Plan& plan, const plan::BoundPlan& bound, plan::ValueId id) {
  double bytes = static_cast<double>(size_of(plan.values[id].dtype));
  for (const std::int64_t dim : plan::shape_of(plan, bound, id)) bytes *= static_cast<double>(dim);
  return bytes;
}

}  // namespace

std::optional<double> bytes_exchanged(const plan::Plan& plan, const plan::BoundPlan& bound, std::string_view node) {
  std::vector<const plan::Step*> own;
  std::vector<bool> read(plan.values.size());  // by any step
  for (const plan::Step& step : plan.steps) {
    if (shares_name(step.node, node)) own.push_back(&step);
    for (const plan::ValueId id : step.inputs) read[plan::root_of(plan, id)] = true;
  }
  if (own.empty()) return std::nullopt;
  // Of values that steps write and others read.
  const auto largest = [&](std::span<const plan::ValueId> ids) {
    double most = 0;
    for (const plan::ValueId id : ids) {
      const plan::ValueId root = plan::root_of(plan, id);
      if (plan.values[root].kind == plan::ValueKind::temporary && read[root])
        most = std::max(most, bytes_of(plan, bound, id));
    }
    return most;
  };
  double reads = 0;
  double writes = 0;
  for (const plan::Step* step : own) {
    reads = std::max(reads, largest(step->inputs));
    writes = std::max(writes, largest(step->outputs));
  }
  return reads > 0 ? reads : writes;
}

}  // namespace intaglio::internal
