// The worker protocol of bench/README.md: one JSON object per line, one answer per request.
#include <algorithm>
#include <iostream>
#include <new>

#include "cli/bench.h"
#include "cli/npy.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

constexpr std::int64_t kMostIterations = 1000000;

Json error_json(const std::string& code, const std::string& message, const std::string& hint) {
  return {{"ok", false}, {"error", {{"code", code}, {"message", message}, {"hint", hint}}}};
}

Json error_json(const Error& error) {
  const std::string message = error.origin().empty() ? error.message() : error.origin() + ": " + error.message();
  return error_json(error.code() == ErrorCode::internal ? "internal" : "bad_input", message, error.hint());
}

[[noreturn]] void bad(const std::string& message, const std::string& hint = {}) {
  throw Error(ErrorCode::usage, message, {}, hint);
}

Json shapes_of(const Session& session) {
  Json out = Json::object();
  for (std::size_t i = 0; i < session.inputs().size(); ++i)
    out[session.model().inputs()[i].name] = session.inputs()[i].shape();
  return out;
}

Json load_inputs(Session& session, const Json& request) {
  const auto files = request.find("inputs");
  if (files == request.end() || !files->is_object()) bad("'inputs' is not an object of names and files");
  NamedPaths paths;
  for (const auto& [name, path] : files->items()) {
    if (!path.is_string()) bad("the file of input '" + name + "' is not a string");
    paths.emplace(name, path.get<std::string>());
  }
  session.set_inputs(read_inputs(session.model().inputs(), paths));
  return {{"ok", true}, {"shapes", shapes_of(session)}};
}

NamedShapes shapes_from(const Json& json) {
  if (!json.is_object()) bad("'shape' is not an object of names and shapes");
  NamedShapes out;
  for (const auto& [name, dims] : json.items()) {
    if (!dims.is_array()) bad("the shape of input '" + name + "' is not a list");
    Shape shape;
    for (const Json& dim : dims) {
      if (!dim.is_number_integer() || dim.get<std::int64_t>() < 0)
        bad("the shape of input '" + name + "' has a dim that is not a size");
      shape.push_back(dim.get<std::int64_t>());
    }
    out.emplace(name, std::move(shape));
  }
  return out;
}

Json run_iterations(Session& session, const Json& request) {
  const auto asked = request.find("iterations");
  if (asked == request.end() || !asked->is_number_integer()) bad("'iterations' is not a whole number");
  const auto iterations = asked->get<std::int64_t>();
  if (iterations < 1 || iterations > kMostIterations) bad("'iterations' is not in 1 to 1000000");
  if (const auto shape = request.find("shape"); shape != request.end()) {
    const auto& ports = session.model().inputs();
    session.set_inputs(random_inputs(session.model(), resolve_shapes(ports, shapes_from(*shape), "shape").shapes));
  }
  if (!session.has_inputs()) bad("run before load", "send load, or run with a shape");
  std::vector<std::int64_t> latencies(static_cast<std::size_t>(iterations));
  for (std::int64_t& latency : latencies) latency = session.run();
  return {{"ok", true}, {"iterations", iterations}, {"latency_ns", latencies}};
}

Json write_latest(Session& session, const Json& request) {
  const auto path = request.find("path");
  if (path == request.end() || !path->is_string()) bad("'path' is not a string");
  if (!session.has_outputs()) bad("outputs before run", "send run first");
  write_outputs(path->get<std::string>(), session.outputs());
  Json outputs = Json::object();
  for (const NamedTensor& named : session.outputs()) {
    outputs[named.name] = {{"dtype", name_of(named.tensor.dtype())}, {"shape", named.tensor.shape()}};
  }
  return {{"ok", true}, {"path", *path}, {"outputs", outputs}};
}

double mb(std::size_t bytes) {
  return static_cast<double>(bytes) / 1e6;
}

Json tell_memory(Session& session, const Json&) {
  const std::size_t resident = process_bytes("VmRSS");
  return {{"ok", true},
          {"peak_rss_mb", mb(std::max(process_bytes("VmHWM"), resident))},  // read at another moment than VmRSS
          {"rss_mb", mb(resident)},
          {"arena_mb", mb(session.arena_bytes())},
          {"weights_mb", mb(session.model().facts().weight_bytes)}};
}

Json say_bye(Session&, const Json&) {
  return {{"ok", true}, {"event", "bye"}};
}

struct Verb {
  const char* name;
  Json (*answer)(Session&, const Json&);
};
constexpr Verb kVerbs[] = {
    {"load", load_inputs},   {"run", run_iterations}, {"outputs", write_latest},
    {"memory", tell_memory}, {"quit", say_bye},
};

Json answer_to(Session& session, const Json& request) {
  if (!request.is_object()) bad("a request is a JSON object");
  const auto cmd = request.find("cmd");
  if (cmd == request.end() || !cmd->is_string()) bad("a request has a string 'cmd'");
  std::vector<std::string> names;
  std::string list;
  for (const Verb& verb : kVerbs) {
    if (*cmd == verb.name) return verb.answer(session, request);
    names.emplace_back(verb.name);
    list += (list.empty() ? "" : ", ") + names.back();
  }
  const auto near = suggest(cmd->get<std::string>(), names);
  bad("unknown cmd '" + cmd->get<std::string>() + "'", near ? "did you mean '" + *near + "'?" : "one of " + list);
}

// Sets `bye` when the answer is the last.
Json answer_line(Session& session, const std::string& line, bool& bye) {
  try {
    const Json request = Json::parse(line, nullptr, false);
    if (request.is_discarded()) bad("the line is not JSON");
    Json answer = answer_to(session, request);
    bye = answer.contains("event");
    return answer;
  } catch (const Error& error) {
    return error_json(error);
  } catch (const std::bad_alloc&) {
    return error_json("bad_input", "there is not enough memory for this", "");
  }
}

Json ready_json(const ModelOptions& options, const Model& model) {
  const ModelFacts facts = model.facts();
  return {{"ok", true},
          {"event", "ready"},
          {"engine", "intaglio"},
          {"version", version()},
          {"model", options.model},
          {"threads", model.threads()},
          {"dtype", arithmetic_of(facts)},
          {"compile_ms", facts.compile_ms},
          {"load_ms", facts.load_ms},
          {"huge_pages", huge_pages_json(facts, options.huge_pages)},
          {"inputs", ports_json(model.inputs())},
          {"outputs", ports_json(model.outputs())}};
}

Model open_or_tell(const ModelOptions& options) {
  try {
    return open_model(options);
  } catch (const Error& error) {
    print(one_line(error_json(error)));
    throw;
  }
}

}  // namespace

void serve(const ModelOptions& options) {
  Session session(open_or_tell(options));
  print(one_line(ready_json(options, session.model())));
  bool bye = false;
  for (std::string line; !bye && std::getline(std::cin, line);) print(one_line(answer_line(session, line, bye)));
  if (!bye) print(one_line(say_bye(session, {})));
}

}  // namespace intaglio::cli
