#include "base/env.h"

#include <gtest/gtest.h>

namespace intaglio {
namespace {

Result<EnvOptions> parse(std::vector<std::string> entries) {
  return parse_environment(entries);
}

TEST(Env, Defaults) {
  const auto options = parse({"PATH=/bin", "intaglio_threads=x", "INTAGLIO_THREADS="});
  ASSERT_TRUE(options);
  EXPECT_FALSE(options->max_isa);
  EXPECT_FALSE(options->threads);
  EXPECT_FALSE(options->verify);
  EXPECT_EQ(options->log_level, "warning");
}

TEST(Env, Values) {
  const auto options =
      parse({"INTAGLIO_MAX_ISA=avx512_vnni", "INTAGLIO_THREADS=1024", "INTAGLIO_VERIFY=1", "INTAGLIO_LOG=trace"});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->max_isa, Isa::avx512_vnni);
  EXPECT_EQ(options->threads, 1024);
  EXPECT_TRUE(options->verify);
  EXPECT_EQ(options->log_level, "trace");
}

TEST(Env, BadValuesNameTheVariable) {
  for (const char* entry : {"INTAGLIO_MAX_ISA=avx3", "INTAGLIO_THREADS=0", "INTAGLIO_THREADS=1025",
                            "INTAGLIO_THREADS=2x", "INTAGLIO_THREADS=-1", "INTAGLIO_VERIFY=yes", "INTAGLIO_LOG=loud"}) {
    const auto options = parse({entry});
    ASSERT_FALSE(options) << entry;
    EXPECT_EQ(options.error().code, ErrorCode::usage);
    EXPECT_EQ(options.error().origin, std::string(entry).substr(0, std::string(entry).find('=')));
    EXPECT_FALSE(options.error().hint.empty());
  }
  EXPECT_NE(parse({"INTAGLIO_MAX_ISA=avx3"}).error().hint.find("avx512_bf16"), std::string::npos);
}

TEST(Env, UnknownVariablesAreErrorsWithASuggestion) {
  const auto near = parse({"INTAGLIO_THREAD=2"});
  ASSERT_FALSE(near);
  EXPECT_EQ(near.error().hint, "did you mean INTAGLIO_THREADS?");
  const auto far = parse({"INTAGLIO_SOMETHING_ELSE_ENTIRELY_AND_LONG=2"});
  ASSERT_FALSE(far);
  EXPECT_NE(far.error().hint.find("INTAGLIO_VERIFY"), std::string::npos);
}

TEST(Env, ReportHasEveryVariableAndTheProcessAgrees) {
  ASSERT_EQ(setenv("INTAGLIO_THREADS", "3", 1), 0);
  const auto options = read_environment();
  bool seen = false;
  for (const EnvVariable& variable : environment_report()) {
    EXPECT_FALSE(variable.meaning.empty());
    if (variable.name == "INTAGLIO_THREADS") {
      seen = true;
      EXPECT_TRUE(variable.set);
      EXPECT_EQ(variable.value, "3");
    }
  }
  unsetenv("INTAGLIO_THREADS");
  EXPECT_TRUE(seen);
  ASSERT_TRUE(options);
  EXPECT_EQ(options->threads, 3);
}

TEST(Env, DidYouMean) {
  EXPECT_EQ(did_you_mean("input_idz", {"attention_mask", "input_ids"}), "input_ids");
  EXPECT_EQ(did_you_mean("--thread", {"--threads", "--trace"}), "--threads");
  EXPECT_FALSE(did_you_mean("x", {"y"}));
  EXPECT_FALSE(did_you_mean("logits", {"attention_mask"}));
  EXPECT_FALSE(did_you_mean(std::string(100000, 'a'), {std::string(100000, 'a')}));
  EXPECT_FALSE(did_you_mean("a", {}));
}

}  // namespace
}  // namespace intaglio
