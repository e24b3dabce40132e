#include "passes/pass.h"

#include <algorithm>
#include <chrono>

#include "ir/verifier.h"

namespace intaglio::passes {

#define INTAGLIO_PASS(stage, function, purpose) Result<int> function(ir::Graph& graph, PassContext& context);
#include "passes/passes.inc"
#undef INTAGLIO_PASS

namespace {

constexpr Pass kPasses[] = {
#define INTAGLIO_PASS(stage, function, purpose) {#function, #stage, purpose, function},
#include "passes/passes.inc"
#undef INTAGLIO_PASS
};

// More rounds than any real graph needs; a cycle of rewrites that undo each other must not hang the compiler.
constexpr int kMaxRounds = 16;

std::string name_of_node(const ir::Node& node) {
  if (!node.origin().name.empty()) return node.origin().name;
  return node.outputs().empty() ? std::string(ir::name_of(node.op())) : "%" + node.output()->name();
}

class Runner {
 public:
  Runner(ir::Graph& graph, PassContext& context, const std::function<void(const Pass&, const ir::Graph&)>& after)
      : graph_(graph), context_(context), after_(after) {
    for (const Pass& pass : kPasses) records_.push_back({std::string(pass.name), 0, 0});
  }

  Status run() {
    INTAGLIO_CHECK(simplify());
    for (const Pass& pass : kPasses) {
      if (pass.stage == "simplify") continue;
      INTAGLIO_TRY(const int rewrites, run_one(pass));
      if (rewrites > 0) INTAGLIO_CHECK(simplify());
    }
    return {};
  }
  std::vector<PassRecord> records() && { return std::move(records_); }

 private:
  Status simplify() {
    for (int round = 0; round < kMaxRounds; ++round) {
      int rewrites = 0;
      for (const Pass& pass : kPasses) {
        if (pass.stage != "simplify") continue;
        INTAGLIO_TRY(const int more, run_one(pass));
        rewrites += more;
      }
      if (rewrites == 0) return {};
    }
    return {};
  }

  Result<int> run_one(const Pass& pass) {
    if (context_.options().disabled.contains(pass.name)) return 0;
    const auto start = std::chrono::steady_clock::now();
    auto rewrites = pass.run(graph_, context_);
    if (!rewrites) return fail(std::move(rewrites).error().within("pass " + std::string(pass.name)));
    PassRecord& record = records_[static_cast<std::size_t>(&pass - kPasses)];
    record.rewrites += *rewrites;
    record.milliseconds += std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
    if (*rewrites > 0) {
      if (after_) after_(pass, graph_);
      if (context_.options().verify_each) {
        if (auto valid = ir::verify(graph_); !valid) {
          return fail(std::move(valid).error().within("after pass " + std::string(pass.name)));
        }
      }
    }
    return rewrites;
  }

  ir::Graph& graph_;
  PassContext& context_;
  const std::function<void(const Pass&, const ir::Graph&)>& after_;
  std::vector<PassRecord> records_;
};

}  // namespace

void PassContext::applied(std::string_view pattern, const ir::Node& node) {
  const std::string name = name_of_node(node);
  applied_.push_back({std::string(pattern), name});
  std::erase_if(near_misses_, [&](const NearMiss& miss) { return miss.pattern == pattern && miss.node == name; });
}

void PassContext::near_miss(std::string_view pattern, const ir::Node& node, std::string_view reason) {
  const std::string name = name_of_node(node);
  for (NearMiss& miss : near_misses_) {
    if (miss.pattern != pattern || miss.node != name) continue;
    miss.reason = reason;
    return;
  }
  near_misses_.push_back({std::string(pattern), name, std::string(reason)});
}

std::string to_string(const Precision& precision) {
  if (precision.quantize == Quantize::none) return "none";
  std::string text =
      precision.activations == Activations::token ? "dynamic, activations by token" : "dynamic, activations by tensor";
  if (precision.keep_first || precision.keep_last) {
    text += precision.keep_first && precision.keep_last ? ", first and last linear kept"
            : precision.keep_first                      ? ", first linear kept"
                                                        : ", last linear kept";
  }
  return text;
}

void PassContext::kept_float(std::string_view rule, const ir::Node& node) {
  kept_float_.push_back({std::string(rule), name_of_node(node)});
}

std::span<const Pass> all_passes() {
  return kPasses;
}

Result<std::vector<PassRecord>> run_passes(ir::Graph& graph, PassContext& context,
                                           const std::function<void(const Pass&, const ir::Graph&)>& after) {
  for (const std::string& name : context.options().disabled) {
    if (std::ranges::find(kPasses, name, &Pass::name) == std::end(kPasses)) {
      std::string known;
      for (const Pass& pass : kPasses) known += (known.empty() ? "" : ", ") + std::string(pass.name);
      return fail(ErrorCode::usage, "there is no pass '" + name + "'", {}, "passes: " + known);
    }
  }
  Runner runner(graph, context, after);
  INTAGLIO_CHECK(runner.run());
  return std::move(runner).records();
}

}  // namespace intaglio::passes
