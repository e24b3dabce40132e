// From a model file to an executable plan: import → passes → lowering → plan. The only room that sees both towers.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "frontend/frontend.h"
#include "ops/candidate.h"
#include "passes/pass.h"
#include "plan/plan.h"
#include "plan/weights.h"

namespace intaglio::compile {

struct CompileOptions {
  frontend::ImportOptions import;
  passes::PassOptions passes;
  std::optional<ops::Target> target;                  // nullopt: this machine, capped by INTAGLIO_MAX_ISA
  std::span<const ops::Candidate* const> candidates;  // empty: ops::own_candidates()
  plan::HugePageOptions huge_pages;                   // for the packed weights, once all are packed
  // Called as the stages begin: ("import", 0..1), ("passes", ...), ("pack", ...). May be empty.
  std::function<void(std::string_view stage, double fraction)> progress;
};

// How long each stage took and what it did: for `compile --json` and for people.
struct CompileRecord {
  double import_ms = 0, passes_ms = 0, lower_ms = 0;
  std::vector<passes::PassRecord> passes;
  std::size_t nodes_imported = 0, nodes_after_passes = 0, steps = 0;
  // Names of the plan's values -> ir::Value::sources(). Empty unless the graph was told to remember_values().
  std::map<std::string, std::vector<std::string>> sources;
};

// Errors: those of the frontends (file, unsupported), of lowering (unsupported: an op with dtypes that no candidate
// takes, with every refusal's reason), out of memory.
Result<std::shared_ptr<const plan::Plan>> compile_file(const std::filesystem::path& path, const CompileOptions& options,
                                                       CompileRecord* record = nullptr);
// The same from a graph on; `name` and `format` go into the plan's report.
Result<std::shared_ptr<const plan::Plan>> compile_graph(ir::Graph graph, std::string name, std::string format,
                                                        const CompileOptions& options, CompileRecord* record = nullptr);

}  // namespace intaglio::compile
