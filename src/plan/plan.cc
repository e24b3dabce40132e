#include "plan/plan.h"

#include <map>
#include <tuple>

#include "base/shape.h"

namespace intaglio::plan {

namespace {

std::string value_origin(const Plan& plan, ValueId id) {
  return "plan value " + std::to_string(id) + (id < plan.values.size() ? " '" + plan.values[id].name + "'" : "");
}

Status check_value(const Plan& plan, ValueId id) {
  const PlanValue& value = plan.values[id];
  if (value.shape.size() > static_cast<std::size_t>(kMaxRank)) {
    return fail(ErrorCode::file, "the rank is over " + std::to_string(kMaxRank), value_origin(plan, id));
  }
  for (DimId dim : value.shape) {
    if (dim >= plan.dims.size()) return fail(ErrorCode::file, "a dim refers outside the table", value_origin(plan, id));
  }
  // Only the port's own value has the shape and dtype that a run checks against the caller's memory.
  if (value.kind == ValueKind::input && (value.source >= plan.inputs.size() || plan.inputs[value.source].value != id)) {
    return fail(ErrorCode::file, "refers to an input that does not exist", value_origin(plan, id));
  }
  if (value.kind == ValueKind::alias) {
    if (value.source >= id)
      return fail(ErrorCode::file, "an alias must refer to an earlier value", value_origin(plan, id));
    if (value.dtype != plan.values[value.source].dtype) {
      return fail(ErrorCode::file, "an alias cannot change the dtype", value_origin(plan, id));
    }
  }
  if (value.kind != ValueKind::constant) return {};
  if (value.source >= plan.blobs.size()) {
    return fail(ErrorCode::file, "refers to bytes that do not exist", value_origin(plan, id));
  }
  Shape shape;
  for (DimId dim : value.shape) {
    const auto constant = plan.dims[dim].constant();
    if (!constant) return fail(ErrorCode::file, "a constant has a symbolic dim", value_origin(plan, id));
    shape.push_back(*constant);
  }
  auto bytes = byte_count(shape, value.dtype);
  if (!bytes) return fail(ErrorCode::file, bytes.error().message, value_origin(plan, id));
  if (*bytes > plan.blobs[value.source].bytes) {
    return fail(ErrorCode::file, "needs more bytes than its data has", value_origin(plan, id));
  }
  return {};
}

// Tracks which values exist when a step runs.
class Definitions {
 public:
  explicit Definitions(const Plan& plan) : plan_(plan), defined_(plan.values.size(), false), root_(plan.values.size()) {
    for (ValueId id = 0; id < plan.values.size(); ++id) {
      const PlanValue& value = plan.values[id];
      defined_[id] = value.kind == ValueKind::input || value.kind == ValueKind::constant;
      root_[id] = value.kind == ValueKind::alias ? root_[value.source] : id;
    }
  }
  bool usable(ValueId id) const { return id < defined_.size() && defined_[root_[id]]; }
  Status define(ValueId id, const std::string& origin) {
    if (id >= defined_.size() || plan_.values[id].kind != ValueKind::temporary || defined_[id]) {
      return fail(ErrorCode::file, "a step writes a value that it must not write", origin);
    }
    defined_[id] = true;
    return {};
  }

 private:
  const Plan& plan_;
  std::vector<bool> defined_;
  std::vector<ValueId> root_;  // alias chains resolved; sources are earlier values (check_value)
};

Status check_steps(const Plan& plan, Definitions& defined) {
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const Step& step = plan.steps[i];
    const std::string origin = "plan step " + std::to_string(i) + " '" + step.node + "'";
    for (ValueId id : step.inputs) {
      if (!defined.usable(id)) return fail(ErrorCode::file, "a step reads a value that does not exist yet", origin);
    }
    for (std::uint32_t blob : step.blobs) {
      if (blob >= plan.blobs.size()) return fail(ErrorCode::file, "a step refers to missing weights", origin);
    }
    for (DimId dim : step.params) {
      if (dim >= plan.dims.size()) return fail(ErrorCode::file, "a parameter refers outside the table", origin);
    }
    if (step.outputs.empty()) return fail(ErrorCode::file, "a step writes nothing", origin);
    for (ValueId id : step.outputs) INTAGLIO_CHECK(defined.define(id, origin));
  }
  return {};
}

}  // namespace

ValueId root_of(const Plan& plan, ValueId id) {
  while (plan.values[id].kind == ValueKind::alias) id = plan.values[id].source;
  return id;
}

std::size_t Plan::weight_bytes() const {
  std::size_t total = 0;
  for (const ops::Blob& blob : blobs) total += blob.bytes;
  return total;
}

Status validate(const Plan& plan) {
  for (ValueId id = 0; id < plan.values.size(); ++id) INTAGLIO_CHECK(check_value(plan, id));
  for (std::size_t i = 0; i < plan.inputs.size(); ++i) {
    const Port& port = plan.inputs[i];
    if (port.value >= plan.values.size() || plan.values[port.value].kind != ValueKind::input ||
        plan.values[port.value].source != i) {
      return fail(ErrorCode::file, "the input and its value do not agree", "plan input '" + port.name + "'");
    }
  }
  for (const Guard& guard : plan.guards) {
    if (guard.a >= plan.dims.size() || guard.b >= plan.dims.size()) {
      return fail(ErrorCode::file, "a guard refers outside the table of dims", guard.origin);
    }
  }
  Definitions defined(plan);
  INTAGLIO_CHECK(check_steps(plan, defined));
  for (const Port& port : plan.outputs) {
    if (!defined.usable(port.value)) {
      return fail(ErrorCode::file, "nothing writes this output", "plan output '" + port.name + "'");
    }
  }
  return {};
}

void assign_bind_groups(Plan& plan) {
  // Parts of their own, not one text: a hostile plan could make two lists of blobs read alike.
  using Key = std::tuple<std::string, std::string, std::vector<std::pair<std::string, std::size_t>>>;
  std::map<Key, std::uint32_t> groups;
  for (Step& step : plan.steps) {
    Key key{step.candidate, ops::to_string(*step.descriptor), {}};
    // A blob may be absent where its contents would do nothing (zero points that are all zero), and bindings differ
    // then.
    for (std::uint32_t blob : step.blobs) {
      std::get<2>(key).emplace_back(plan.blobs[blob].layout, plan.blobs[blob].bytes);
    }
    step.bind_group = groups.emplace(key, static_cast<std::uint32_t>(groups.size())).first->second;
  }
  std::map<std::vector<std::uint64_t>, std::uint32_t> problems;
  for (Step& step : plan.steps) {
    std::vector<std::uint64_t> key = {step.bind_group};
    for (const auto* list : {&step.inputs, &step.outputs}) {
      key.push_back(list->size());
      for (const ValueId id : *list) {
        const PlanValue& value = plan.values[id];
        key.push_back(static_cast<std::uint64_t>(value.dtype));
        key.push_back(value.shape.size());
        key.insert(key.end(), value.shape.begin(), value.shape.end());
      }
    }
    key.insert(key.end(), step.params.begin(), step.params.end());
    step.problem = problems.emplace(std::move(key), static_cast<std::uint32_t>(problems.size())).first->second;
  }
}

}  // namespace intaglio::plan
