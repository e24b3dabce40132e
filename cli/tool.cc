#include "cli/tool.h"

#include <algorithm>
#include <cstdio>
#include <new>
#include <string>
#include <vector>

#include "cli/options.h"
#include "cli/report.h"

namespace intaglio::cli {

namespace {

constexpr Command (*kCommands[])(CLI::App&) = {add_run,     add_compile, add_bench, add_inspect,
                                               add_explain, add_profile, add_doctor};

// Commands behind a word, as in `intaglio debug accuracy`.
constexpr const char* kGroup = "debug";
constexpr Command (*kDebugCommands[])(CLI::App&) = {add_debug_accuracy};

std::string question(const std::optional<std::string>& near) {
  return near ? "did you mean " + *near + "? " : "";
}

std::vector<std::string> option_names(const CLI::App& parser) {
  std::vector<std::string> names;
  for (const CLI::Option* option : parser.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

[[noreturn]] void refuse_extra(const CLI::App& parser, const std::string& called, const std::string& word) {
  const std::string help = "see " + called + " --help";
  if (word.size() > 1 && word[0] == '-') {
    const std::string name = word.substr(0, word.find('='));
    throw Error(ErrorCode::usage, "unknown option " + name, called,
                question(suggest(name, option_names(parser))) + help);
  }
  throw Error(ErrorCode::usage, "'" + word + "' is one argument too many", called, help);
}

// Options first: the words behind an unknown one seem superfluous, too.
void refuse_extras(const CLI::App& parser, const std::string& called) {
  const std::vector<std::string> words = parser.remaining();
  if (words.empty()) return;
  const auto option = std::ranges::find_if(words, [](const std::string& word) { return word.starts_with('-'); });
  refuse_extra(parser, called, option == words.end() ? words.front() : *option);
}

// One of `names`, or an option. The parser would take an unknown command for a superfluous word.
void check_command(const std::vector<std::string>& names, const std::string& called, const char* given) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  if (given == nullptr)
    throw Error(ErrorCode::usage, "no command is given", called, "one of " + list + "; see " + called + " --help");
  const std::string word = given;
  if (word.starts_with('-') || std::ranges::find(names, word) != names.end()) return;
  throw Error(ErrorCode::usage, "unknown command '" + word + "'", called,
              question(suggest(word, names)) + "commands: " + list);
}

std::vector<std::string> names_of(const std::vector<Command>& commands) {
  std::vector<std::string> names;
  for (const Command& command : commands) names.push_back(command.parser->get_name());
  return names;
}

template <std::size_t N>
std::vector<Command> add_all(Command (*const (&add)[N])(CLI::App&), CLI::App& parent) {
  std::vector<Command> commands;
  for (const auto one : add) {
    commands.push_back(one(parent));
    commands.back().parser->allow_extras();
  }
  return commands;
}

// argv ends with a nullptr.
void check_commands(const std::vector<Command>& commands, const std::vector<Command>& debug, char** argv) {
  std::vector<std::string> names = names_of(commands);
  names.emplace_back(kGroup);
  const char* const first = argv[0] == nullptr ? nullptr : argv[1];
  check_command(names, "intaglio", first);
  if (std::string(first) == kGroup) check_command(names_of(debug), "intaglio " + std::string(kGroup), argv[2]);
}

void run_command(int argc, char** argv) {
  CLI::App tool("Intaglio compiles trained networks for CPUs and runs them.", "intaglio");
  tool.set_version_flag("--version", version());
  tool.allow_extras();
  tool.require_subcommand(0, 1);
  tool.footer(
      "'intaglio COMMAND --help' tells more. Reports go to stdout, everything else to stderr.\n"
      "Exit codes: 0 done, 1 internal error, 2 bad usage, 3 a bad file, 4 a model that cannot be run,\n"
      "5 a requirement that does not hold.\n\n"
      "Examples:\n"
      "  intaglio inspect bert.onnx\n"
      "  intaglio compile bert.onnx -o bert.plan\n"
      "  intaglio bench bert.plan --shape input_ids=1x128 --threads 1");
  std::vector<Command> commands = add_all(kCommands, tool);
  CLI::App* group = tool.add_subcommand(kGroup, "look into a model: accuracy");
  group->require_subcommand(0, 1);
  const std::vector<Command> debug = add_all(kDebugCommands, *group);
  check_commands(commands, debug, argv);
  commands.insert(commands.end(), debug.begin(), debug.end());
  try {
    tool.parse(argc, argv);
  } catch (const CLI::Success& wish) {  // help, version
    tool.exit(wish);
    return print("");
  } catch (const CLI::ParseError& problem) {
    throw Error(ErrorCode::usage, problem.what(), "intaglio", "see intaglio --help");
  }
  refuse_extras(tool, "intaglio");
  for (const Command& command : commands) {
    if (!command.parser->parsed()) continue;
    const bool grouped = command.parser->get_parent() == group;
    refuse_extras(*command.parser,
                  std::string("intaglio ") + (grouped ? group->get_name() + " " : "") + command.parser->get_name());
    return command.action();
  }
  throw Error(ErrorCode::usage, "no command is given", "intaglio", "see intaglio --help");
}

}  // namespace

int run_tool(int argc, char** argv) noexcept {
  try {
    run_command(argc, argv);
    return 0;
  } catch (const Error& error) {
    print_error(error);
    return static_cast<int>(error.code());
  } catch (const std::bad_alloc&) {
    std::fputs("error: out of memory\nhint: smaller shapes, or a limit of memory (ulimit, cgroup) that is higher\n",
               stderr);
    return static_cast<int>(ErrorCode::unsupported);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "error: %s\nhint: this is a bug of intaglio; please report it\n", problem.what());
  }
  return 1;
}

}  // namespace intaglio::cli
