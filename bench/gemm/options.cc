#include "bench/gemm/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <charconv>
#include <iostream>

#include "bench/gemm/scenarios.h"
#include "cpu/machine.h"

namespace intaglio::bench {

namespace {

constexpr int kMostThreads = 256, kMostRounds = 1000;

// What the parser collects as text, before it is looked at.
struct Texts {
  std::vector<std::string> types, levels, threads, caches;
  std::string rounds = "5";
};

struct UsageError {
  std::string message;
};

int number_of(const std::string& option, const std::string& text, int most) {
  int value = 0;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (problem != std::errc() || end != text.data() + text.size() || value < 1 || value > most) {
    throw UsageError{fmt::format("{} '{}': expected a number from 1 to {}", option, text, most)};
  }
  return value;
}

void take_levels(const std::vector<std::string>& texts, Options& options) {
  const IsaSet machine = cpu::detect().isa;
  std::vector<Isa> possible;
  for (const Isa isa :
       {Isa::avx2, Isa::avx_vnni, Isa::avx512, Isa::avx512_vnni, Isa::avx512_bf16, Isa::avx512_fp16, Isa::amx}) {
    if (contains(machine, isa)) possible.push_back(isa);
  }
  if (texts.empty()) {
    options.levels = possible.empty() ? std::vector{Isa::sse42} : possible;
    return;
  }
  options.levels_given = true;
  for (const std::string& text : texts) {
    const auto isa = parse_isa(text);
    if (!isa) throw UsageError{fmt::format("--isa '{}': unknown, there are {}", text, all_isa_names())};
    if (!contains(machine, *isa)) throw UsageError{fmt::format("--isa {}: this machine lacks it", text)};
    options.levels.push_back(*isa);
  }
  std::ranges::sort(options.levels);
}

Options checked(Options options, const Texts& texts) {
  for (const std::string& type : texts.types) {
    const bool known = std::ranges::any_of(scenarios(), [&](const Scenario& s) { return s.kind() == type; });
    if (!known) throw UsageError{fmt::format("--types '{}': unknown, there are {}", type, all_kinds())};
  }
  options.types = texts.types;
  take_levels(texts.levels, options);
  if (!texts.threads.empty()) options.threads.clear();
  for (const std::string& text : texts.threads) options.threads.push_back(number_of("--threads", text, kMostThreads));
  const int cores = cpu::detect().logical_cores();
  if (texts.threads.empty()) std::erase_if(options.threads, [&](int count) { return count > cores; });
  for (const std::string& text : texts.caches) {
    if (text != "hot" && text != "cold")
      throw UsageError{fmt::format("--cache '{}': expected hot, cold or both", text)};
  }
  if (!texts.caches.empty()) {
    options.hot = std::ranges::count(texts.caches, "hot") != 0;
    options.cold = std::ranges::count(texts.caches, "cold") != 0;
  }
  options.rounds = number_of("--rounds", texts.rounds, kMostRounds);
  if (options.quick) options.rounds = std::min(options.rounds, 3);
  return options;
}

void describe(CLI::App& app, Options& options, Texts& texts) {
  app.add_option("--shapes", options.shape_files, "Files of shapes M x N x K (default: all of bench/shapes)");
  app.add_option("--types", texts.types, "Kinds of linears: " + all_kinds() + " (default: all)")->delimiter(',');
  app.add_option("--isa", texts.levels,
                 "Levels of instructions, each on all shapes (default: the best on all, those "
                 "from avx2 up on the held shapes)")
      ->delimiter(',');
  app.add_option("--threads", texts.threads, "Numbers of threads; above 1 on products of 100 MFLOP and more (1,2)")
      ->delimiter(',');
  app.add_option("--cache", texts.caches, "Weights: hot, cold (from memory; M <= 8 and the held shapes) (hot,cold)")
      ->delimiter(',');
  app.add_option("--rounds", texts.rounds, "Rounds in which the engines take turns (5)");
  app.add_option("--json", options.json, "Write the results there (schema intaglio.gemm/1)");
  app.add_flag("--quick", options.quick, "Within a minute: the held shapes and M = 1 and 8 of 768 x 768");
  app.add_flag("--stateful", options.stateful, "Only: prepared int8 linears over packing in each call, four models");
  app.add_flag("--worker", options.worker, "Answer requests on stdin instead (bench/README.md)");
  app.footer(
      "Examples:\n"
      "  gemm_bench --quick\n"
      "  gemm_bench --types s8,u8 --threads 1 --cache hot --json gemm.json\n"
      "  gemm_bench --shapes bench/shapes/bert.txt --isa avx2,avx512_vnni --rounds 9");
}

}  // namespace

Parsed parse_options(int argc, const char* const* argv) {
  CLI::App app("Prepared linears, and oneDNN's beside them when it is built in: rate, share of the peak, error.");
  Options options;
  Texts texts;
  describe(app, options, texts);
  try {
    app.parse(argc, argv);
    return {checked(options, texts), -1};
  } catch (const CLI::CallForHelp&) {
    std::cout << app.help();
    return {{}, 0};
  } catch (const CLI::ParseError& error) {
    std::cerr << "gemm_bench: error: " << error.what() << " (gemm_bench --help)\n";
  } catch (const UsageError& error) {
    std::cerr << "gemm_bench: error: " << error.message << " (gemm_bench --help)\n";
  }
  return {{}, 2};
}

Result<ShapeList> load_shapes(const Options& options) {
  const std::string folder = INTAGLIO_BENCH_SHAPES "/";
  ShapeList list;
  INTAGLIO_TRY(list.held, read_shapes(folder + "held.txt"));
  std::vector<Product> flat;
  if (options.quick && options.shape_files.empty()) {
    flat = list.held;
    flat.insert(flat.end(), {{1, 768, 768}, {8, 768, 768}});
  } else {
    std::vector<std::string> files = options.shape_files;
    if (files.empty()) {
      for (const char* name : {"held.txt", "bert.txt", "gptj.txt", "odd.txt"}) files.push_back(folder + name);
    }
    for (const std::string& file : files) {
      INTAGLIO_TRY(const auto shapes, read_shapes(file));
      flat.insert(flat.end(), shapes.begin(), shapes.end());
    }
  }
  // Packing is done once for all M of one N x K.
  for (const Product& first : flat) {
    if (std::ranges::find(list.all, first) != list.all.end()) continue;
    for (const Product& s : flat) {
      const bool known = std::ranges::find(list.all, s) != list.all.end();
      if (!known && s.n == first.n && s.k == first.k) list.all.push_back(s);
    }
  }
  return list;
}

}  // namespace intaglio::bench
