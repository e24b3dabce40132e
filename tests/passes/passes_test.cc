// Text tests of passes: every tests/passes/<pass>.ir holds cases separated by lines of "---". A case is a graph in the
// text form of src/ir/text.h with directives in comments:
//   # case: what it shows
//   # ops: gelu=1 erf=0                 op counts afterwards (required: a case that checks nothing fails)
//   # check: text                        must occur in the printed graph afterwards (any number)
//   # near-miss: pattern: text           must be among the near misses (any number; a case without this line must have
//   none
//                                        of this file's pattern)
//   # shape: input=2x3                   concrete shapes of inputs with symbolic dims
//   # precision: dtype=bf16 quantize=dynamic activations=tensor keep=first,last     (default: f32, nothing quantised)
//   # kept: rule: node                   must be among what rules left in floating point (any number)
//   # tolerance: 0.02                    of values, relative to the largest of the output (default: equal but for
//   decimals) # keep: pass, pass                   other passes that may run (default: the file's pass and the
//   simplifications)
// Structure is judged by these lines, values by the interpreter in float64 on seeded random inputs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>

#include "interp/interp.h"
#include "ir/text.h"
#include "ir/verifier.h"
#include "passes/pass.h"

namespace intaglio::passes {
namespace {

struct Case {
  std::string name, text;
  std::map<std::string, int> ops;
  std::vector<std::string> checks;
  std::vector<std::pair<std::string, std::string>> near_misses;
  std::map<std::string, Shape> shapes;
  std::set<std::string, std::less<>> keep;
  Precision precision;
  std::vector<std::pair<std::string, std::string>> kept;
  double tolerance = 0;
};

std::string trim(std::string text) {
  text.erase(0, text.find_first_not_of(' '));
  text.erase(text.find_last_not_of(" \r") + 1);
  return text;
}

Precision parse_precision(const std::string& text) {
  Precision out;
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == "dtype=bf16") out.dtype = DType::bf16;
    if (word == "quantize=dynamic") out.quantize = Quantize::dynamic;
    if (word == "activations=tensor") out.activations = Activations::tensor;
    if (word.starts_with("keep=")) {
      out.keep_first = word.find("first") != std::string::npos;
      out.keep_last = word.find("last") != std::string::npos;
    }
  }
  return out;
}

void read_directive(const std::string& line, Case& out) {
  const auto after = [&](std::string_view key) -> std::optional<std::string> {
    const std::string prefix = "# " + std::string(key) + ":";
    if (!line.starts_with(prefix)) return std::nullopt;
    return trim(line.substr(prefix.size()));
  };
  if (const auto name = after("case")) out.name = *name;
  if (const auto check = after("check")) out.checks.push_back(*check);
  if (const auto ops = after("ops")) {
    std::istringstream words(*ops);
    for (std::string word; words >> word;)
      out.ops[word.substr(0, word.find('='))] = std::stoi(word.substr(word.find('=') + 1));
  }
  if (const auto miss = after("near-miss")) {
    const auto colon = miss->find(':');
    out.near_misses.emplace_back(trim(miss->substr(0, colon)), trim(miss->substr(colon + 1)));
  }
  if (const auto kept = after("kept")) {
    const auto colon = kept->find(':');
    out.kept.emplace_back(trim(kept->substr(0, colon)), trim(kept->substr(colon + 1)));
  }
  if (const auto precision = after("precision")) out.precision = parse_precision(*precision);
  if (const auto tolerance = after("tolerance")) out.tolerance = std::stod(*tolerance);
  if (const auto shapes = after("shape")) {
    std::istringstream words(*shapes);
    for (std::string word; words >> word;)
      out.shapes[word.substr(0, word.find('='))] = *parse_shape(word.substr(word.find('=') + 1));
  }
  if (const auto keep = after("keep")) {
    std::istringstream words(*keep);
    for (std::string word; words >> word;)
      out.keep.insert(word.ends_with(',') ? word.substr(0, word.size() - 1) : word);
  }
}

std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::ifstream in(path);
  std::vector<Case> cases(1);
  for (std::string line; std::getline(in, line);) {
    if (line == "---") {
      cases.emplace_back();
      continue;
    }
    read_directive(trim(line), cases.back());
    cases.back().text += line + "\n";
  }
  return cases;
}

ir::Tensor random_input(const ir::Value& value, const Shape& shape, std::mt19937& random) {
  std::vector<double> numbers(static_cast<std::size_t>(*element_count(shape)));
  std::normal_distribution<double> normal;
  for (double& number : numbers) number = normal(random);
  if (value.dtype() == DType::f64 || value.dtype() == DType::f32) {
    // float32 values, so that both dtypes hold them exactly
    std::vector<float> floats(numbers.begin(), numbers.end());
    return *ir::Tensor::from(shape, floats);
  }
  if (value.dtype() == DType::boolean) {
    std::vector<bool> bits;
    for (double number : numbers) bits.push_back(number > -0.5);
    return *ir::Tensor::from(shape, bits);
  }
  if (value.dtype() == DType::u8) {
    std::vector<std::uint8_t> bytes;
    for (double number : numbers) bytes.push_back(static_cast<std::uint8_t>(std::min(255.0, std::abs(number) * 80)));
    return *ir::Tensor::from(shape, bytes);
  }
  std::vector<std::int64_t> integers;
  for (double number : numbers) integers.push_back(static_cast<std::int64_t>(std::abs(number)));
  if (value.dtype() == DType::i64) return *ir::Tensor::from(shape, integers);
  return *ir::Tensor::from(shape, std::vector<std::int32_t>(integers.begin(), integers.end()));
}

std::vector<ir::Tensor> random_inputs(const ir::Graph& graph, const Case& test) {
  std::mt19937 random(20260101);
  std::vector<ir::Tensor> inputs;
  for (const ir::Port& port : graph.inputs()) {
    const auto found = test.shapes.find(port.name);
    const auto constant = constant_values(port.value->shape());
    EXPECT_TRUE(found != test.shapes.end() || constant) << "no '# shape:' for input " << port.name;
    inputs.push_back(
        random_input(*port.value, found != test.shapes.end() ? found->second : constant.value_or(Shape{}), random));
  }
  return inputs;
}

// Results of other arithmetic: no element further off than a share of the output's largest.
void expect_near(const ir::Tensor& before, const ir::Tensor& after, double tolerance) {
  double largest = 0;
  for (std::int64_t k = 0; k < before.element_count(); ++k) largest = std::max(largest, std::abs(before.as_double(k)));
  for (std::int64_t k = 0; k < before.element_count(); ++k)
    ASSERT_NEAR(before.as_double(k), after.as_double(k), tolerance * largest) << "element " << k;
}

void expect_equal(const std::vector<ir::Tensor>& before, const std::vector<ir::Tensor>& after, double tolerance) {
  ASSERT_EQ(before.size(), after.size());
  for (std::size_t i = 0; i < before.size(); ++i) {
    ASSERT_EQ(before[i].shape, after[i].shape);
    if (tolerance != 0) {
      expect_near(before[i], after[i], tolerance);
      continue;
    }
    for (std::int64_t k = 0; k < before[i].element_count(); ++k) {
      const double a = before[i].as_double(k);
      const double b = after[i].as_double(k);
      if (std::isnan(a) && std::isnan(b)) continue;
      if (a == b) continue;
      // Decimal spellings of irrational factors differ in the seventh digit.
      ASSERT_NEAR(a, b, 2e-6 * std::max(1.0, std::abs(a))) << "output " << i << " element " << k;
    }
  }
}

void run_case(const std::string& pass, const Case& test) {
  SCOPED_TRACE(pass + ": " + test.name);
  ASSERT_FALSE(test.ops.empty() && test.checks.empty()) << "the case checks nothing";
  auto parsed = ir::parse(test.text);
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  ir::Graph graph = *std::move(parsed);
  const auto inputs = random_inputs(graph, test);
  const auto before = interp::run(graph, inputs, {.precision = interp::Precision::f64});
  ASSERT_TRUE(before) << before.error().to_string();

  PassOptions options;
  options.verify_each = true;
  options.precision = test.precision;
  for (const Pass& other : all_passes()) {
    const bool wanted = other.name == pass || other.stage == "simplify" || test.keep.contains(other.name);
    if (!wanted) options.disabled.emplace(other.name);
  }
  PassContext context(options);
  const auto records = run_passes(graph, context);
  ASSERT_TRUE(records) << records.error().to_string();

  const std::string printed = ir::print(graph);
  std::map<std::string, int> counts;
  for (const ir::Node& node : graph.nodes()) ++counts[std::string(ir::name_of(node.op()))];
  for (const auto& [op, count] : test.ops) EXPECT_EQ(counts[op], count) << op << " in\n" << printed;
  for (const std::string& check : test.checks)
    EXPECT_NE(printed.find(check), std::string::npos) << check << " in\n" << printed;
  for (const auto& [pattern, reason] : test.near_misses) {
    bool found = false;
    for (const NearMiss& miss : context.near_misses())
      found = found || (miss.pattern == pattern && miss.reason.find(reason) != std::string::npos);
    EXPECT_TRUE(found) << "no near miss " << pattern << ": " << reason;
  }
  if (test.near_misses.empty()) {
    for (const NearMiss& miss : context.near_misses())
      ADD_FAILURE() << "near miss of " << miss.pattern << ": " << miss.reason;
  }
  for (const auto& [rule, node] : test.kept) {
    bool found = false;
    for (const KeptFloat& kept : context.kept_float())
      found = found || (kept.node == node && kept.rule.find(rule) != std::string::npos);
    EXPECT_TRUE(found) << "not kept: " << node << " by " << rule;
  }
  EXPECT_EQ(context.kept_float().size(), test.kept.size());
  // Rounding to bf16 is what is tested, so it must happen; everything else is exact in float64.
  const auto precision = test.precision.dtype == DType::bf16 ? interp::Precision::f32 : interp::Precision::f64;
  const auto after = interp::run(graph, inputs, {.precision = precision});
  ASSERT_TRUE(after) << after.error().to_string();
  expect_equal(*before, *after, test.tolerance);
}

class PassText : public testing::TestWithParam<Pass> {};

TEST_P(PassText, RewritesAsItsFileSays) {
  const std::string name(GetParam().name);
  const std::filesystem::path path = std::filesystem::path(INTAGLIO_SOURCE_DIR) / "tests/passes" / (name + ".ir");
  ASSERT_TRUE(std::filesystem::exists(path)) << "pass " << name << " has no text test " << path;
  for (const Case& test : read_cases(path)) run_case(name, test);
}

INSTANTIATE_TEST_SUITE_P(All, PassText, testing::ValuesIn(all_passes().begin(), all_passes().end()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace intaglio::passes
