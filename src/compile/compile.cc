#include "compile/compile.h"

#include <chrono>

#include "compile/lower.h"

namespace intaglio::compile {

namespace {

class Stopwatch {
 public:
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

void copy_report(const passes::PassContext& context, plan::Report& report) {
  for (const auto& applied : context.fusions()) report.fusions.push_back({applied.pattern, applied.node});
  for (const auto& miss : context.near_misses()) report.near_misses.push_back({miss.pattern, miss.node, miss.reason});
  for (const auto& kept : context.kept_float()) report.kept_float.push_back({kept.rule, kept.node});
  const passes::Precision& precision = context.options().precision;
  report.dtype = name_of(precision.dtype);
  report.quantize = passes::to_string(precision);
}

}  // namespace

Result<std::shared_ptr<const plan::Plan>> compile_graph(ir::Graph graph, std::string name, std::string format,
                                                        const CompileOptions& options, CompileRecord* record) {
  CompileRecord local;
  CompileRecord& stages = record == nullptr ? local : *record;
  Stopwatch watch;
  stages.nodes_imported = graph.nodes().size();
  if (options.progress) options.progress("passes", 0);
  passes::PassContext context(options.passes);
  INTAGLIO_TRY(stages.passes, passes::run_passes(graph, context));
  stages.nodes_after_passes = graph.nodes().size();
  for (const ir::Value& value : graph.values()) {
    if (!value.sources().empty()) stages.sources.emplace(value.name(), value.sources());
  }
  stages.passes_ms = watch.lap();

  ops::Target target;
  if (options.target)
    target = *options.target;
  else {
    INTAGLIO_TRY(target, ops::host_target());
  }
  const auto candidates = options.candidates.empty() ? ops::own_candidates() : options.candidates;
  Lowering lowering(graph, candidates, target, options.progress);
  INTAGLIO_TRY(auto plan, lowering.run());
  if (options.huge_pages.wanted)
    INTAGLIO_CHECK(plan::use_huge_pages(*plan, candidates, target, options.huge_pages.most_bytes));
  plan->report.model = std::move(name);
  plan->report.format = std::move(format);
  plan->report.model_nodes = static_cast<std::int64_t>(stages.nodes_imported);
  copy_report(context, plan->report);
  stages.steps = plan->steps.size();
  stages.lower_ms = watch.lap();
  return std::shared_ptr<const plan::Plan>(std::move(plan));
}

Result<std::shared_ptr<const plan::Plan>> compile_file(const std::filesystem::path& path, const CompileOptions& options,
                                                       CompileRecord* record) {
  Stopwatch watch;
  if (options.progress) options.progress("import", 0);
  INTAGLIO_TRY(std::string format, frontend::format_of(path));
  INTAGLIO_TRY(ir::Graph graph, frontend::import_model(path, options.import));
  if (record != nullptr) record->import_ms = watch.lap();
  auto plan = compile_graph(std::move(graph), path.filename().string(), std::move(format), options, record);
  if (!plan) return fail(std::move(plan).error().within(path.string()));
  return plan;
}

}  // namespace intaglio::compile
