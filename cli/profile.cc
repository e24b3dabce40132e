// intaglio profile: when each thread did which step, as a trace for Perfetto or chrome://tracing and as a table.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>

#include "cli/atomic_write.h"
#include "cli/inputs.h"
#include "cli/options.h"
#include "cli/report.h"
#include "cli/session.h"

namespace intaglio::cli {

namespace {

struct ProfileOptions : ModelOptions {
  std::string output, iterations = "10", warmup = "3", top = "10";
};

// Nanoseconds of one step, as means over the runs.
struct StepCost {
  std::size_t step = 0;
  double wall = 0;    // of the thread that took longest
  double busy = 0;    // of all threads together, without waiting between phases
  double waited = 0;  // of all threads together, for others before the step and between its phases
};

const ProfiledSpan& span_of(const Profile& profile, const ProfiledRun& run, std::size_t thread, std::size_t step) {
  return run.spans[thread * profile.steps.size() + step];
}

std::vector<StepCost> costs_of(const Profile& profile) {
  std::vector<StepCost> costs(profile.steps.size());
  const auto threads = static_cast<std::size_t>(profile.threads);
  const auto runs = static_cast<double>(profile.runs.size());
  for (std::size_t step = 0; step < costs.size(); ++step) {
    StepCost& cost = costs[step];
    cost.step = step;
    for (const ProfiledRun& run : profile.runs) {
      std::int64_t longest = 0;
      for (std::size_t thread = 0; thread < threads; ++thread) {
        const ProfiledSpan& span = span_of(profile, run, thread, step);
        const std::int64_t whole = span.end_ns - span.begin_ns;
        longest = std::max(longest, whole);
        cost.busy += static_cast<double>(whole - span.waited_ns) / runs;
        cost.waited += static_cast<double>(span.waited_ns) / runs;
        if (step != 0 && span.end_ns != 0)
          cost.waited += static_cast<double>(span.begin_ns - span_of(profile, run, thread, step - 1).end_ns) / runs;
      }
      cost.wall += static_cast<double>(longest) / runs;
    }
  }
  return costs;
}

double mean_run_ns(const Profile& profile) {
  double sum = 0;
  for (const ProfiledRun& run : profile.runs) sum += static_cast<double>(run.end_ns - run.begin_ns);
  return sum / static_cast<double>(profile.runs.size());
}

// ---- the trace: the JSON format of chrome://tracing, times in microseconds
Json event(const std::string& name, const char* phase, std::size_t thread) {
  return {{"name", name}, {"ph", phase}, {"pid", 1}, {"tid", thread}};
}

Json complete(const std::string& name, std::size_t thread, std::int64_t begin_ns, std::int64_t end_ns) {
  Json json = event(name, "X", thread);
  json["ts"] = static_cast<double>(begin_ns) / 1e3;
  json["dur"] = static_cast<double>(end_ns - begin_ns) / 1e3;
  return json;
}

Json arguments_of(const ProfiledStep& step, std::size_t index, const ProfiledSpan& span) {
  return {{"step", index},
          {"op", step.op},
          {"kernel", step.kernel},
          {"isa", step.isa},
          {"epilogue", step.epilogue},
          {"blocking", step.blocking},
          {"node", step.node},
          {"flops", step.flops},
          {"bytes", step.bytes},
          {"waited_us", static_cast<double>(span.waited_ns) / 1e3}};
}

// A run is a slice of the caller's lane, thread 0, around its steps.
void add_run(const Profile& profile, std::size_t number, std::vector<std::string>& lines) {
  const ProfiledRun& run = profile.runs[number];
  lines.push_back(one_line(complete("run " + std::to_string(number), 0, run.begin_ns, run.end_ns)));
  for (std::size_t thread = 0; thread < static_cast<std::size_t>(profile.threads); ++thread) {
    for (std::size_t i = 0; i < profile.steps.size(); ++i) {
      const ProfiledSpan& span = span_of(profile, run, thread, i);
      if (span.end_ns == 0) continue;  // the pool was busy: this thread took no part
      const ProfiledStep& step = profile.steps[i];
      Json slice = complete(step.op, thread, span.begin_ns, span.end_ns);
      slice["args"] = arguments_of(step, i, span);
      lines.push_back(one_line(slice));
      if (thread != 0) continue;
      Json memory = event("activations", "C", 0);
      memory["ts"] = static_cast<double>(span.begin_ns) / 1e3;
      memory["args"] = {{"bytes", step.arena_bytes}};
      lines.push_back(one_line(memory));
    }
  }
}

void write_trace(const std::string& path, const std::string& model, const Profile& profile) {
  std::vector<std::string> lines;
  Json process = event("process_name", "M", 0);
  process["args"] = {{"name", "intaglio " + model}};
  lines.push_back(one_line(process));
  for (std::size_t thread = 0; thread < static_cast<std::size_t>(profile.threads); ++thread) {
    Json name = event("thread_name", "M", thread);
    name["args"] = {{"name", "thread " + std::to_string(thread) + (thread == 0 ? " (caller)" : "")}};
    lines.push_back(one_line(name));
  }
  for (std::size_t i = 0; i < profile.runs.size(); ++i) add_run(profile, i, lines);
  std::vector<std::string> pieces = {"{\"displayTimeUnit\": \"ns\", \"traceEvents\": [\n"};
  for (std::size_t i = 0; i < lines.size(); ++i) pieces.push_back(lines[i] + (i + 1 < lines.size() ? ",\n" : "\n"));
  pieces.emplace_back("]}\n");
  atomic_write(path, pieces);
}

// ---- the reports
Json report_json(const ProfileOptions& options, const Session& session, const Profile& profile,
                 const std::vector<StepCost>& costs) {
  Json json = {{"schema", "intaglio.profile/1"}, {"model", options.model}};
  json["shapes"] = Json::object();
  for (std::size_t i = 0; i < session.inputs().size(); ++i)
    json["shapes"][session.model().inputs()[i].name] = session.inputs()[i].shape();
  json["threads"] = profile.threads;
  json["runs"] = profile.runs.size();
  json["barriers"] = profile.barriers;
  json["run_us"] = mean_run_ns(profile) / 1e3;
  json["arena_bytes"] = profile.arena_bytes;
  json["trace"] = options.output;
  json["steps"] = Json::array();
  for (const StepCost& cost : costs) {
    const ProfiledStep& step = profile.steps[cost.step];
    json["steps"].push_back({{"step", cost.step},
                             {"node", step.node},
                             {"op", step.op},
                             {"kernel", step.kernel},
                             {"isa", step.isa},
                             {"epilogue", step.epilogue},
                             {"waits", step.waits},
                             {"wall_us", cost.wall / 1e3},
                             {"busy_us", cost.busy / 1e3},
                             {"waited_us", cost.waited / 1e3},
                             {"flops", step.flops},
                             {"bytes", step.bytes},
                             {"arena_bytes", step.arena_bytes},
                             {"thread_scratch_bytes", step.thread_scratch_bytes},
                             {"shared_scratch_bytes", step.shared_scratch_bytes}});
  }
  return json;
}

std::string end_of(const std::string& name, std::size_t most) {
  return name.size() <= most ? name : "..." + name.substr(name.size() - most + 3);
}

void report_text(const ProfileOptions& options, const Profile& profile, std::vector<StepCost> costs, std::size_t top) {
  const double run = mean_run_ns(profile);
  double busy = 0;
  for (const StepCost& cost : costs) busy += cost.busy;
  std::ranges::stable_sort(costs, [](const StepCost& a, const StepCost& b) { return a.wall > b.wall; });
  const std::size_t shown = std::min(top, costs.size());
  std::vector<std::vector<std::string>> rows;
  for (std::size_t i = 0; i < shown; ++i) {
    const StepCost& cost = costs[i];
    const ProfiledStep& step = profile.steps[cost.step];
    rows.push_back({std::to_string(cost.step), milliseconds(cost.wall / 1e6),
                    fmt::format("{:.1f}%", 100 * cost.wall / run),
                    step.flops > 0 && cost.wall > 0 ? fmt::format("{:.1f}", step.flops / cost.wall) : "", step.op,
                    step.kernel, end_of(step.node, 48)});
  }
  print(table_text({">step", ">time", ">of run", ">Gop/s", "op", "kernel", "node"}, rows));
  if (shown < costs.size()) print(fmt::format("and {} more steps (--top)\n", costs.size() - shown));
  const double capacity = run * profile.threads;
  print(fmt::format("\n{} a run (mean of {}), {} thread{}, busy {:.1f}% of the time; {} barriers a run\n",
                    milliseconds(run / 1e6), profile.runs.size(), profile.threads, profile.threads == 1 ? "" : "s",
                    100 * busy / capacity, profile.barriers));
  print("trace written to " + options.output + ": open it in https://ui.perfetto.dev or chrome://tracing\n");
}

void run_profile(const ProfileOptions& options) {
  require_model(options.model, "profile");
  if (options.output.empty())
    throw Error(ErrorCode::usage, "no file for the trace is given", "profile", "add -o trace.json");
  require_folder(options.output);
  const auto iterations = static_cast<int>(parse_integer("--iterations", options.iterations, 1, 100000));
  const auto warmup = parse_integer("--warmup", options.warmup, 0, 100000);
  const auto top = static_cast<std::size_t>(parse_integer("--top", options.top, 1, 100000));
  const InputChoice inputs = choose_inputs(options);
  Session session(open_model(options));
  session.set_inputs(make_inputs(session.model(), inputs));
  for (std::int64_t i = 0; i < warmup; ++i) session.run();
  const Profile profile = session.profile(iterations);
  write_trace(options.output, options.model, profile);
  const std::vector<StepCost> costs = costs_of(profile);
  if (options.json) return print_json(report_json(options, session, profile, costs));
  report_text(options, profile, costs, top);
}

}  // namespace

Command add_profile(CLI::App& tool) {
  auto options = std::make_shared<ProfileOptions>();
  CLI::App* parser = tool.add_subcommand("profile", "show which step takes how long on which thread");
  add_model(*parser, *options, "a .onnx or .pt2 file, or a plan");
  parser->add_option("-o,--output", options->output, "where the trace goes")->type_name("FILE");
  add_inputs(*parser, *options);
  add_shapes(*parser, *options);
  parser->add_option("--iterations", options->iterations, "runs that are timed (10)")->type_name("N");
  parser->add_option("--warmup", options->warmup, "runs before them (3)")->type_name("N");
  parser->add_option("--top", options->top, "rows of the table (10)")->type_name("N");
  add_compiling(*parser, *options);
  add_huge_pages(*parser, *options);
  add_json(*parser, options->json);
  parser->footer(
      "The trace has a lane per thread and a slice per step with op, kernel and node; gaps are waiting.\n"
      "Times of a step are those of its slowest thread.\n\n"
      "Examples:\n"
      "  intaglio profile bert.onnx -o trace.json --shape input_ids=1x128\n"
      "  intaglio profile bert.plan -o trace.json --threads 2 --top 20");
  return {parser, [options] { run_profile(*options); }};
}

}  // namespace intaglio::cli
