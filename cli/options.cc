#include "cli/options.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <memory>

#include "cli/npy.h"
#include "cli/progress.h"

namespace intaglio::cli {

namespace {

constexpr int kMostThreads = 1024;

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// Each of `names` is one of `legal`.
void check_names(const std::string& option, const char* kind, const std::vector<std::string>& names,
                 const std::vector<std::string>& legal) {
  for (const std::string& name : names) {
    if (std::ranges::find(legal, name) != legal.end()) continue;
    const auto near = suggest(name, legal);
    throw Error(ErrorCode::usage, std::string("unknown ") + kind + " '" + name + "'", option,
                (near ? "did you mean '" + *near + "'? " : std::string()) + "legal: " + joined(legal));
  }
}

// The arithmetic that the options ask for.
void set_precision(const ModelOptions& options, CompileOptions& out) {
  if (!options.dtype.empty()) {
    check_names("--dtype", "arithmetic", {options.dtype}, {"f32", "bf16"});
    out.dtype = *parse_dtype(options.dtype);
  }
  if (!options.quantize.empty()) {
    check_names("--quantize", "quantisation", {options.quantize}, {"none", "dynamic"});
    if (options.quantize == "dynamic") out.quantize = Quantize::dynamic;
  }
  if (!options.activations.empty()) {
    check_names("--activations", "kind of scales", {options.activations}, {"token", "tensor"});
    if (out.quantize == Quantize::none)
      throw Error(ErrorCode::usage, "nothing is quantised", "--activations", "with --quantize dynamic");
    if (options.activations == "tensor") out.activations = Activations::tensor;
  }
  const auto kept = split_lists(options.keep_float);
  check_names("--keep-float", "linear", kept, {"first", "last"});
  out.keep_float.insert(kept.begin(), kept.end());
}

}  // namespace

void add_model(CLI::App& parser, ModelOptions& options, const std::string& what) {
  parser.add_option("MODEL", options.model, what);
}

void add_compiling(CLI::App& parser, ModelOptions& options) {
  parser.add_option("--threads", options.threads, "threads of a run (default: what machine and cgroup allow)")
      ->type_name("N");
  parser.add_option("--dtype", options.dtype, "of floating-point arithmetic: f32 (default), bf16")->type_name("TYPE");
  parser.add_option("--quantize", options.quantize, "of linears: none (default), dynamic (8-bit)")->type_name("HOW");
  parser.add_option("--activations", options.activations, "8-bit scales by token (default) or tensor")->type_name("BY");
  parser.add_option("--keep-float", options.keep_float, "linears not to quantise: first, last")
      ->allow_extra_args(false)
      ->type_name("LIST");
  parser.add_option("--require", options.require, "exit 5 unless it holds: " + joined(requirement_names()))
      ->allow_extra_args(false)
      ->type_name("LIST");
  parser.add_option("--disable-pass", options.disabled_passes, "leave passes out (unknown names list all)")
      ->allow_extra_args(false)
      ->type_name("LIST");
  parser.add_option("--fix", options.fixed, "make an input a constant of the model")
      ->allow_extra_args(false)
      ->type_name("NAME=FILE.npy");
}

void add_huge_pages(CLI::App& parser, ModelOptions& options) {
  parser.add_flag("--huge-pages", options.huge_pages, "copy packed weights to huge pages of this process");
}

void add_shapes(CLI::App& parser, ModelOptions& options) {
  parser.add_option("--shape", options.shapes, "shape of an input, as in ids=1x128; repeatable")
      ->allow_extra_args(false)
      ->type_name("NAME=AxB");
}

void add_inputs(CLI::App& parser, ModelOptions& options) {
  parser.add_option("--input", options.inputs, "an input's values; repeat for every input")
      ->allow_extra_args(false)
      ->type_name("NAME=FILE.npy");
}

void add_json(CLI::App& parser, bool& json) {
  parser.add_flag("--json", json, "report as JSON on stdout");
}

std::vector<std::string> split_lists(const std::vector<std::string>& texts) {
  std::vector<std::string> out;
  for (const std::string& text : texts) {
    for (std::size_t from = 0; from <= text.size();) {
      const std::size_t comma = std::min(text.find(',', from), text.size());
      out.push_back(text.substr(from, comma - from));
      from = comma + 1;
    }
  }
  return out;
}

std::int64_t parse_integer(const std::string& option, const std::string& text, std::int64_t least, std::int64_t most) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    throw Error(ErrorCode::usage,
                "'" + text + "' is not a number from " + std::to_string(least) + " to " + std::to_string(most), option);
  }
  return value;
}

int parse_threads(const std::string& text) {
  return text.empty() ? 0 : static_cast<int>(parse_integer("--threads", text, 1, kMostThreads));
}

std::pair<std::string, std::string> parse_assignment(const std::string& option, const std::string& text,
                                                     const std::string& what) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    throw Error(ErrorCode::usage, "'" + text + "' is not of the form " + what, option);
  }
  return {text.substr(0, equals), text.substr(equals + 1)};
}

CompileOptions compile_options(const ModelOptions& options) {
  CompileOptions out;
  out.threads = parse_threads(options.threads);
  set_precision(options, out);
  out.huge_pages = options.huge_pages;
  out.require = split_lists(options.require);
  check_names("--require", "requirement", out.require, requirement_names());
  const auto disabled = split_lists(options.disabled_passes);
  check_names("--disable-pass", "pass", disabled, pass_names());
  out.disabled_passes.insert(disabled.begin(), disabled.end());
  for (const std::string& text : options.fixed) {
    auto [name, file] = parse_assignment("--fix", text, "NAME=FILE.npy");
    out.fixed_inputs.push_back({std::move(name), read_npy(file)});
  }
  auto progress = std::make_shared<Progress>("compile");
  out.progress = [progress](std::string_view stage, double fraction) { progress->update(stage, fraction); };
  return out;
}

Model open_model(const ModelOptions& options) {
  Model model = open(options.model, compile_options(options));
  if (!model.facts().from_plan) return model;
  const std::pair<bool, const char*> decided[] = {{!options.disabled_passes.empty(), "--disable-pass"},
                                                  {!options.fixed.empty(), "--fix"},
                                                  {!options.dtype.empty(), "--dtype"},
                                                  {!options.quantize.empty(), "--quantize"},
                                                  {!options.keep_float.empty(), "--keep-float"}};
  for (const auto& [given, option] : decided) {
    if (!given) continue;
    throw Error(ErrorCode::usage,
                "'" + options.model + "' is a plan, whose inputs and arithmetic were decided when it was compiled",
                option, "give the option to 'intaglio compile'");
  }
  return model;
}

void require_model(const std::string& model, const std::string& command) {
  if (model.empty())
    throw Error(ErrorCode::usage, "the MODEL argument is missing", "intaglio " + command,
                "see intaglio " + command + " --help");
}

void require_folder(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path();
  std::error_code ignored;
  if (folder.empty() || std::filesystem::is_directory(folder, ignored)) return;
  throw Error(ErrorCode::file, "the folder '" + folder.string() + "' does not exist", path);
}

}  // namespace intaglio::cli
