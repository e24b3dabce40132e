#include "bench/gemm/options.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace intaglio::bench {
namespace {

Parsed parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "gemm_bench");
  return parse_options(static_cast<int>(arguments.size()), arguments.data());
}

TEST(Options, ListsAndDefaults) {
  const Parsed parsed = parse({"--types", "s8,w4", "--threads", "1,3", "--cache", "cold", "--rounds", "9"});
  ASSERT_EQ(parsed.exit_code, -1);
  EXPECT_EQ(parsed.options.types, (std::vector<std::string>{"s8", "w4"}));
  EXPECT_EQ(parsed.options.threads, (std::vector<int>{1, 3}));
  EXPECT_FALSE(parsed.options.hot);
  EXPECT_TRUE(parsed.options.cold);
  EXPECT_EQ(parsed.options.rounds, 9);
  EXPECT_FALSE(parsed.options.levels.empty());
  EXPECT_FALSE(parsed.options.levels_given);
}

TEST(Options, WrongOnesEndWithTwo) {
  const std::vector<std::vector<const char*>> wrong = {
      {"--types", "q8"},  {"--isa", "avx1024"}, {"--threads", "0"},  {"--threads", "x"}, {"--cache", "warm"},
      {"--rounds", "-1"}, {"--rounds", "1.5"},  {"--no-such-thing"}, {"surplus"},        {"--rounds", ""},
  };
  for (const auto& arguments : wrong) EXPECT_EQ(parse(arguments).exit_code, 2) << arguments[0];
}

TEST(Options, ShapesOfTheFolderAreGroupedAndUnique) {
  const auto list = load_shapes(Options{});
  ASSERT_TRUE(list.has_value());
  EXPECT_FALSE(list->held.empty());
  std::vector<std::pair<std::int64_t, std::int64_t>> groups;
  for (std::size_t i = 0; i < list->all.size(); ++i) {
    const Product& s = list->all[i];
    EXPECT_EQ(std::ranges::count(list->all, s), 1) << to_string(s);
    if (i == 0 || list->all[i - 1].n != s.n || list->all[i - 1].k != s.k) groups.emplace_back(s.n, s.k);
  }
  std::ranges::sort(groups);
  EXPECT_TRUE(std::ranges::adjacent_find(groups) == groups.end());
}

}  // namespace
}  // namespace intaglio::bench
