// The ONNX project's node cases through the front end and the reference interpreter: this judges translators and the
// interpreter without kernels (tests/conformance/run.py does the same through the tool and the kernels).
//
// The corpus is written by make_corpus.py; DEV_CONFORMANCE_CORPUS names its folder (default .cache/conformance).
// Claimed ops are the rows of the front end's table; all their cases run, and each ends as passed, refused (an error
// with code unsupported, with its reason) or failed. DEV_CONFORMANCE_ONLY restricts to names that contain a text.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>

#include "frontend/frontend.h"
#include "interp/interp.h"
#include "tests/conformance/npy.h"

namespace intaglio::conformance {
namespace {

using nlohmann::json;

struct Outcome {
  enum class State { passed, refused, failed } state = State::failed;
  std::string detail;
};

std::filesystem::path corpus_folder() {
  if (const char* given = std::getenv("DEV_CONFORMANCE_CORPUS")) return given;
  return std::filesystem::path(INTAGLIO_SOURCE_DIR) / ".cache" / "conformance";
}

// The ops of the table, read from its one list.
std::map<std::string, int> claimed_ops() {
  std::map<std::string, int> ops;
#define INTAGLIO_ONNX_OP(domain, op, since, newest, translate, fold) ops[op] = 0;
#include "frontend/onnx/ops.inc"
#undef INTAGLIO_ONNX_OP
  return ops;
}

bool close(double actual, double expected, double rtol, double atol) {
  if (std::isnan(expected)) return std::isnan(actual);
  if (std::isinf(expected)) return actual == expected;
  return std::abs(actual - expected) <= atol + rtol * std::abs(expected);
}

// Empty if right. bf16 has fewer than 8 significant bits: the ONNX runner allows two units in the last place. `exact`
// (may be null) is the result computed in f64: the expectations of f16 cases carry numpy's rounding after every step,
// so an element that is at least as near to the exact result as the expectation is right too.
std::string difference(const ir::Tensor& actual, const ir::Tensor& expected, double rtol, double atol,
                       const ir::Tensor* exact) {
  if (actual.dtype != expected.dtype)
    return "dtype " + std::string(name_of(actual.dtype)) + ", expected " + std::string(name_of(expected.dtype));
  if (actual.shape != expected.shape)
    return "shape " + to_string(actual.shape) + ", expected " + to_string(expected.shape);
  if (expected.dtype == DType::bf16) rtol = std::max(rtol, std::ldexp(1.0, -6));
  for (std::int64_t i = 0; i < expected.element_count(); ++i) {
    const double have = actual.as_double(i), want = expected.as_double(i);
    bool right = is_floating(expected.dtype) ? close(have, want, rtol, atol) : actual.as_int(i) == expected.as_int(i);
    if (!right && exact != nullptr)
      right = std::abs(have - exact->as_double(i)) <= std::abs(want - exact->as_double(i));
    if (!right)
      return "element " + std::to_string(i) + " is " + std::to_string(have) + ", expected " + std::to_string(want);
  }
  return {};
}

Outcome refused_or_failed(const Error& error) {
  return {error.code == ErrorCode::unsupported ? Outcome::State::refused : Outcome::State::failed, error.to_string()};
}

Result<ir::Tensor> read_entry(const std::filesystem::path& folder, const json& entry) {
  const auto dtype = parse_dtype(entry["dtype"].get<std::string>());
  if (!dtype) return fail(ErrorCode::unsupported, "dtype " + entry["dtype"].get<std::string>());
  return read_npy(folder / entry["file"].get<std::string>(), *dtype);
}

Outcome run_model(const json& test, const std::filesystem::path& folder, const std::string& model) {
  auto graph = frontend::onnx::import(folder / model, {});
  if (!graph) return refused_or_failed(graph.error());
  std::vector<ir::Tensor> inputs;
  for (const ir::Port& port : graph->inputs()) {
    for (const json& entry : test["inputs"]) {
      if (entry["name"].get<std::string>() != port.name) continue;
      auto tensor = read_entry(folder, entry);
      if (!tensor) return refused_or_failed(tensor.error());
      inputs.push_back(std::move(*tensor));
    }
  }
  auto results = interp::run(*graph, inputs);
  if (!results) return refused_or_failed(results.error());
  if (results->size() != test["outputs"].size()) return {Outcome::State::failed, "another number of outputs"};
  for (std::size_t i = 0; i < results->size(); ++i) {
    auto expected = read_entry(folder, test["outputs"][i]);
    if (!expected) return refused_or_failed(expected.error());
    const double rtol = test["rtol"].get<double>(), atol = test["atol"].get<double>();
    std::string wrong = difference((*results)[i], *expected, rtol, atol, nullptr);
    if (!wrong.empty() && expected->dtype == DType::f16) {
      auto exact = interp::run(*graph, inputs, {.precision = interp::Precision::f64});
      if (exact) wrong = difference((*results)[i], *expected, rtol, atol, &(*exact)[i]);
    }
    if (!wrong.empty()) return {Outcome::State::failed, graph->outputs()[i].name + ": " + wrong};
  }
  return {Outcome::State::passed, {}};
}

// The case as it is; where that is refused, its variant with the operands that decide shapes as initialisers.
Outcome run_case(const json& test, const std::filesystem::path& corpus) {
  const auto folder = corpus / test["name"].get<std::string>();
  const Outcome outcome = run_model(test, folder, test["model"].get<std::string>());
  if (outcome.state != Outcome::State::refused || !test.contains("constant_model")) return outcome;
  return run_model(test, folder, test["constant_model"].get<std::string>());
}

TEST(Conformance, NodeCasesOfClaimedOps) {
  const auto corpus = corpus_folder();
  std::ifstream list(corpus / "cases.json");
  if (!list) GTEST_SKIP() << "no corpus in " << corpus << ": write it with tests/conformance/make_corpus.py";
  const char* only = std::getenv("DEV_CONFORMANCE_ONLY");
  auto claimed = claimed_ops();
  int passed = 0, refused = 0;
  std::map<std::string, int> reasons;
  const json index = json::parse(list);
  for (const json& test : index["cases"]) {
    const std::string op = test["op"], name = test["name"];
    if (!claimed.contains(op) || (only != nullptr && name.find(only) == std::string::npos)) continue;
    SCOPED_TRACE(name);
    const Outcome outcome = run_case(test, corpus);
    switch (outcome.state) {
      case Outcome::State::passed:
        ++passed, ++claimed[op];
        break;
      case Outcome::State::refused:
        ++refused, ++reasons[op + ": " + outcome.detail];
        break;
      case Outcome::State::failed:
        ADD_FAILURE() << name << " (" << op << "): " << outcome.detail;
    }
  }
  for (const auto& [reason, count] : reasons) std::cout << "refused: " << reason << "  [" << count << "]\n";
  std::cout << "claimed ops and their passing cases:";
  for (const auto& [op, count] : claimed) std::cout << " " << op << "=" << count;
  std::cout << "\n" << passed << " cases passed, " << refused << " refused\n";
  EXPECT_GT(passed, 0);
}

}  // namespace
}  // namespace intaglio::conformance
