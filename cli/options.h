// The options that several commands share, and how their texts are read. Every function here throws Error (usage) that
// names the option it is about.
#pragma once

#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "intaglio/intaglio.h"

namespace intaglio::cli {

// A command of the tool: its parser, and what runs once the arguments are known to be all right.
struct Command {
  CLI::App* parser;
  std::function<void()> action;
};

// One command each, in a file of its own.
Command add_run(CLI::App& tool);
Command add_compile(CLI::App& tool);
Command add_bench(CLI::App& tool);
Command add_inspect(CLI::App& tool);
Command add_explain(CLI::App& tool);
Command add_profile(CLI::App& tool);
Command add_doctor(CLI::App& tool);
// Of `intaglio debug`.
Command add_debug_accuracy(CLI::App& debug);

// Texts as given. Numbers and lists are read by the functions below, not by the parser: its messages would not name
// causes.
struct ModelOptions {
  std::string model;
  std::vector<std::string> inputs;           // name=file.npy
  std::vector<std::string> shapes;           // name=1x128
  std::vector<std::string> require;          // lists
  std::vector<std::string> disabled_passes;  // lists
  std::vector<std::string> fixed;            // name=file.npy
  std::string threads;
  std::string dtype;                    // empty: f32, or what a plan has
  std::string quantize;                 // empty: none, or what a plan has
  std::string activations;              // empty: token
  std::vector<std::string> keep_float;  // lists
  bool huge_pages = false;
  bool json = false;
};

// What each of these adds to a command's parser.
void add_model(CLI::App& parser, ModelOptions& options, const std::string& what);
void add_compiling(
    CLI::App& parser,
    ModelOptions& options);  // --threads --dtype --quantize --activations --keep-float --require --disable-pass --fix
void add_huge_pages(CLI::App& parser, ModelOptions& options);
void add_shapes(CLI::App& parser, ModelOptions& options);
void add_inputs(CLI::App& parser, ModelOptions& options);
void add_json(CLI::App& parser, bool& json);

// "a,b" and repeated options as one list.
std::vector<std::string> split_lists(const std::vector<std::string>& texts);
// A decimal integer in [least, most].
std::int64_t parse_integer(const std::string& option, const std::string& text, std::int64_t least, std::int64_t most);
// 1 to 1024 threads; 0 for an empty text: as many as the machine allows.
int parse_threads(const std::string& text);
// "name=value"; `what` describes the value.
std::pair<std::string, std::string> parse_assignment(const std::string& option, const std::string& text,
                                                     const std::string& what);

// The library's options for these, with a progress report on stderr. Reads the files of --fix.
CompileOptions compile_options(const ModelOptions& options);

// Loads the plan or compiles the model file. Options that a plan has decided already are refused with one.
Model open_model(const ModelOptions& options);

// Throws Error (usage) for a missing MODEL argument.
void require_model(const std::string& model, const std::string& command);

// Throws Error (file) if the folder of a file to be written does not exist: said before the work, not after it.
void require_folder(const std::string& path);

}  // namespace intaglio::cli
