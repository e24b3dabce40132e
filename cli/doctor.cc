// intaglio doctor: the machine, and how this process would use it.
#include <fmt/format.h>

#include <memory>

#include "cli/options.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

struct DoctorOptions {
  bool measure = false, json = false;
};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : " ") + name;
  return text;
}

Json report_json(const Diagnosis& d) {
  Json json = {{"schema", "intaglio.doctor/1"},
               {"version", version()},
               {"cpu", d.cpu},
               {"vendor", d.vendor},
               {"family", d.family},
               {"model", d.model},
               {"stepping", d.stepping},
               {"hypervisor", d.hypervisor},
               {"isa", d.isa},
               {"isa_detected", d.isa_detected}};
  json["amx"] = {{"usable", d.amx_usable}, {"reason", d.amx_reason}};
  json["caches"] = {
      {"l1d_bytes", d.l1d_bytes}, {"l2_bytes", d.l2_bytes}, {"l3_bytes", d.l3_bytes}, {"source", d.cache_source}};
  json["cores"] = {{"logical", d.logical_cores}, {"physical", d.physical_cores}};
  json["cgroup"] = {{"cpus", d.cgroup_cpus ? Json(*d.cgroup_cpus) : Json()}, {"source", d.cgroup_source}};
  json["memory"] = {{"bytes", d.memory_bytes},
                    {"limit_bytes", d.memory_limit_bytes ? Json(*d.memory_limit_bytes) : Json()}};
  json["threads"] = {
      {"intra_op", d.intra_op}, {"inter_op", d.inter_op}, {"reason", d.threads_reason}, {"backend", d.backend}};
  json["variables"] = Json::array();
  for (const DoctorVariable& v : d.variables) {
    json["variables"].push_back({{"name", v.name}, {"set", v.set}, {"value", v.value}, {"meaning", v.meaning}});
  }
  json["libraries"] = Json::array();
  for (const DoctorLibrary& library : d.libraries)
    json["libraries"].push_back({{"name", library.name}, {"version", library.version}});
  json["measured"] = Json::array();
  for (const DoctorMeasurement& m : d.measured)
    json["measured"].push_back({{"name", m.name}, {"value", m.value}, {"unit", m.unit}});
  json["notes"] = d.notes;
  return json;
}

std::string kilobytes(std::size_t bytes) {
  return bytes < (1u << 20) ? fmt::format("{} KiB", bytes >> 10) : fmt::format("{} MiB", bytes >> 20);
}

void report_text(const Diagnosis& d, bool measured) {
  const auto line = [](const char* name, const std::string& value) { print(fmt::format("{:<13}{}\n", name, value)); };
  line("cpu", fmt::format("{} ({}, family {}, model {}, stepping {}){}", d.cpu, d.vendor, d.family, d.model, d.stepping,
                          d.hypervisor ? ", virtual" : ""));
  line("isa", joined(d.isa) + (d.isa == d.isa_detected ? "" : " (capped; detected: " + joined(d.isa_detected) + ")"));
  line("amx", (d.amx_usable ? "usable" : "not usable") + (d.amx_reason.empty() ? "" : ": " + d.amx_reason));
  line("caches", fmt::format("L1d {}, L2 {}, L3 {} (from {})", kilobytes(d.l1d_bytes), kilobytes(d.l2_bytes),
                             kilobytes(d.l3_bytes), d.cache_source));
  line("cores", fmt::format("{} logical, {} physical", d.logical_cores, d.physical_cores));
  line("cgroup", d.cgroup_cpus ? fmt::format("{} cpus ({})", *d.cgroup_cpus, d.cgroup_source) : "no limit of cpu time");
  line("memory",
       megabytes(d.memory_bytes) + (d.memory_limit_bytes ? ", limit " + megabytes(*d.memory_limit_bytes) : ""));
  line("threads", fmt::format("{} in an op, {} op at a time: {}", d.intra_op, d.inter_op, d.threads_reason));
  line("backend", d.backend);
  for (const std::string& text : d.notes) line("note", text);
  std::vector<std::vector<std::string>> rows;
  for (const DoctorVariable& v : d.variables) rows.push_back({v.name, v.set ? v.value : "-", v.meaning});
  print("\n" + table_text({"variable", "value", "meaning"}, rows));
  std::string libraries;
  for (const DoctorLibrary& library : d.libraries)
    libraries += (libraries.empty() ? "" : ", ") + library.name + " " + library.version;
  print("\nlibraries: " + libraries + "\n");
  if (!measured) return print("'intaglio doctor --measure' also measures peaks and bandwidths\n");
  rows.clear();
  for (const DoctorMeasurement& m : d.measured) rows.push_back({m.name, fmt::format("{:.1f}", m.value), m.unit});
  print("\n" + table_text({"measured, one thread", ">value", "unit"}, rows));
}

void run_doctor(const DoctorOptions& options) {
  const Diagnosis diagnosis = diagnose(options.measure);
  if (options.json) return print_json(report_json(diagnosis));
  report_text(diagnosis, options.measure);
}

}  // namespace

Command add_doctor(CLI::App& tool) {
  auto options = std::make_shared<DoctorOptions>();
  CLI::App* parser = tool.add_subcommand("doctor", "report on the machine, threads and environment");
  parser->add_flag("--measure", options->measure, "also measure peaks and bandwidths (seconds)");
  add_json(*parser, options->json);
  parser->footer("Examples:\n  intaglio doctor\n  intaglio doctor --measure --json");
  return {parser, [options] { run_doctor(*options); }};
}

}  // namespace intaglio::cli
