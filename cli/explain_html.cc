// An explanation as one page that needs nothing but itself.
#include <fmt/format.h>

#include "cli/explain.h"
#include "cli/svg.h"

namespace intaglio::cli {

namespace {

constexpr const char* kStyle = R"(
body{font:15px/1.45 system-ui,sans-serif;color:#223;background:#fff;max-width:1500px;margin:2em auto;padding:0 1em}
h1{font-size:1.5em;margin:0 0 .4em;overflow-wrap:anywhere}h2{font-size:1.15em;margin:2em 0 .3em}
p{margin:.3em 0;color:#556}svg{width:100%;height:auto}svg text{font-size:12px;fill:#334}
text.end{text-anchor:end}text.middle{text-anchor:middle}svg text.faint{fill:#778}
.grid{stroke:#e3e6ea}.roof{stroke:#c0392b;stroke-width:1.5}.slope{stroke:#7f8c9a;stroke-width:1.3}
.bar{fill:#4a7fb5}.predicted{fill:#e0a33a}.dot{fill:#2a6f4e;fill-opacity:.65}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:12px}
th{text-align:left;vertical-align:bottom;border-bottom:2px solid #ccd;padding:3px 6px}
td{border-bottom:1px solid #e8eaee;padding:3px 6px;vertical-align:top;overflow-wrap:break-word}
td:last-child{overflow-wrap:anywhere;min-width:9em}
.steps td{max-width:15em;min-width:0;overflow-wrap:break-word}
.n,td.n:last-child{text-align:right;white-space:nowrap;min-width:0;font-variant-numeric:tabular-nums}
)";

// Headings that begin with '>' are of numbers. Every cell is escaped.
std::string table_html(const std::vector<std::string>& headings, const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "<p>None.</p>\n";
  const auto number = [&](std::size_t i) { return headings[i].starts_with('>'); };
  std::string html = "<div class=\"scroll\"><table><thead><tr>";
  for (std::size_t i = 0; i < headings.size(); ++i)
    html += fmt::format("<th{}>{}</th>", number(i) ? " class=\"n\"" : "", html_escaped(headings[i].substr(number(i))));
  html += "</tr></thead><tbody>\n";
  for (const std::vector<std::string>& row : rows) {
    html += "<tr>";
    for (std::size_t i = 0; i < row.size(); ++i)
      html += fmt::format("<td{}>{}</td>", number(i) ? " class=\"n\"" : "", html_escaped(row[i]));
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string tenths(const std::optional<double>& us) {
  return us ? fmt::format("{:.1f}", *us) : "";
}

std::string header_html(const Explained& told) {
  const Explanation& e = told.explanation;
  std::vector<std::vector<std::string>> rows{{"arithmetic", told.facts.dtype + ", quantize " + told.facts.quantize},
                                             {"threads", std::to_string(e.threads)}};
  std::string shapes;
  for (std::size_t i = 0; i < told.shapes.size(); ++i)
    shapes += fmt::format("{}{} [{}]", i == 0 ? "" : ", ", told.ports[i].name, fmt::join(told.shapes[i], ", "));
  rows.push_back({"inputs", shapes});
  rows.push_back({"a run", e.runs > 0 ? fmt::format("{}, median of {}", milliseconds(e.run_us / 1e3), e.runs)
                                      : "not timed (--runs 0)"});
  rows.push_back({"steps", fmt::format("{}, {} barriers a run", e.steps.size(), e.barriers)});
  rows.push_back({"memory", fmt::format("weights {}, arena {} (lower bound {})", megabytes(e.weight_bytes),
                                        megabytes(e.arena_bytes), megabytes(e.arena_lower_bound_bytes))});
  std::string machine;
  for (const DoctorMeasurement& m : e.machine)
    machine += fmt::format("{}{} {:.0f} {}", machine.empty() ? "" : ", ", m.name, m.value, m.unit);
  if (!machine.empty()) rows.push_back({"one core, measured", machine});
  return "<h1>" + html_escaped(told.model) + "</h1>\n" + table_html({"", ""}, rows);
}

std::string steps_html(const Explanation& e) {
  std::vector<std::vector<std::string>> rows;
  for (const ExplainedStep& step : e.steps) {
    rows.push_back(
        {std::to_string(rows.size()), step.node, step.op, tenths(step.predicted_us), tenths(step.measured_us),
         step.roofline_percent ? fmt::format("{:.0f}%", *step.roofline_percent) : "", step.roof, step.kernel, step.isa,
         step.blocking, step.epilogue, std::to_string(step.threads) + (step.split.empty() ? "" : ": " + step.split)});
  }
  return "<section class=\"steps\"><h2>Steps</h2>\n" +
         table_html({">", "node", "op", ">predicted us", ">measured us", ">roofline", "limit", "kernel", "ISA",
                     "blocking", "epilogue", "threads"},
                    rows) +
         "</section>\n";
}

std::string reasons_html(const Explanation& e) {
  std::vector<std::vector<std::string>> misses, fallbacks, kept;
  for (const NearMiss& miss : e.near_misses)
    misses.push_back({miss.pattern, miss.node, miss.reason, tenths(miss.cost_us)});
  for (const Fallback& fallback : e.fallbacks) fallbacks.push_back({fallback.node, fallback.reason});
  for (const KeptFloat& left : e.kept_float) kept.push_back({left.node, left.rule});
  return "<h2>Near misses</h2>\n" + table_html({"pattern", "node", "why not", ">costs about us"}, misses) +
         "<h2>Fallbacks</h2>\n" + table_html({"node", "why"}, fallbacks) + "<h2>Linears kept in floating point</h2>\n" +
         table_html({"node", "rule"}, kept);
}

}  // namespace

std::string explain_html(const Explained& told) {
  const Explanation& e = told.explanation;
  std::string html = "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>" +
                     html_escaped("Intaglio: " + told.model) + "</title><style>" + kStyle + "</style></head><body>\n" +
                     header_html(told);
  if (e.runs > 0) {
    html += "<h2>Time by layer</h2>\n<p>Blue: measured, and its share of the run. Amber: predicted.</p>\n";
    html += layers_chart(e);
    html += fmt::format(
        "<h2>Roofline</h2>\n<p>A dot a step, against what {} thread{} could do at most by the rates of one core: level "
        "lines are peaks, slopes are bandwidths.</p>\n",
        e.threads, e.threads == 1 ? "" : "s");
    html += roofline_chart(e);
  }
  html +=
      "<h2>Memory over time</h2>\n<p>Bytes of the arena that hold something while each step runs; the red line is "
      "the whole arena.</p>\n";
  return html + memory_chart(e) + steps_html(e) + reasons_html(e) + "</body></html>\n";
}

}  // namespace intaglio::cli
