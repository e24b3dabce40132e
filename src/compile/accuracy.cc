#include "compile/accuracy.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <map>
#include <optional>

#include "interp/interp.h"
#include "plan/context.h"
#include "threads/pool.h"

namespace intaglio::compile {

namespace {

using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

// A value that a step wrote, kept until the reference has all of its parts.
struct Kept {
  std::size_t result = 0;  // into Accuracy::steps
  plan::ValueId value = 0;
  ir::Tensor actual;
  std::vector<std::optional<ir::Tensor>> parts;  // of StepAccuracy::sources
};

class Comparison {
 public:
  Comparison(const ir::Graph& graph, std::span<const ir::Tensor> inputs, const AccuracyOptions& options)
      : graph_(graph), inputs_(inputs), options_(options) {}

  Result<Accuracy> run(std::shared_ptr<const plan::Plan> plan, const CompileRecord& record) {
    out_.plan = std::move(plan);
    INTAGLIO_TRY(auto pool, threads::shared_pool({.threads = 1}));
    plan::Context context(out_.plan, {.pool = std::move(pool)});
    INTAGLIO_CHECK(choose_values(context, record));
    auto start = Clock::now();
    INTAGLIO_CHECK(run_plan(context));
    out_.run_ms = since(start);
    start = Clock::now();
    INTAGLIO_CHECK(run_reference());
    out_.reference_ms = since(start);
    for (const Kept& kept : kept_) result_of(kept).not_compared = "the reference does not compute it";
    pass_on_errors();
    drop_unasked();
    return std::move(out_);
  }

 private:
  StepAccuracy& result_of(const Kept& kept) { return out_.steps[kept.result]; }

  bool asked_for(const plan::Step& step) const {
    const std::string& text = options_.layers;
    const bool pattern = text.find_first_of("*?") != std::string::npos;
    for (const std::string* name : {&step.node, &step.op}) {
      if (pattern ? fnmatch(text.c_str(), name->c_str(), 0) == 0 : name->find(text) != std::string::npos) return true;
    }
    return false;
  }

  plan::ValueId root(plan::ValueId id) const { return plan::root_of(*out_.plan, id); }

  // Every output of every step becomes a result. Compared are those of the steps that were asked for, and what they
  // read, so that the growth of the error is known.
  Status choose_values(plan::Context& context, const CompileRecord& record) {
    std::vector<Shape> shapes;
    for (const ir::Tensor& input : inputs_) shapes.push_back(input.shape);
    INTAGLIO_TRY(const plan::BoundPlan* bound, context.prepare(shapes));
    const plan::Plan& plan = *out_.plan;
    for (std::uint32_t i = 0; i < plan.steps.size(); ++i) {
      asked_.push_back(asked_for(plan.steps[i]));
      for (const plan::ValueId id : plan.steps[i].outputs) {
        StepAccuracy result{i, plan.values[id].dtype, {}, {}, {}, {}, 0};
        for (const plan::DimId dim : plan.values[id].shape) result.shape.push_back(bound->dims[dim]);
        if (const auto found = record.sources.find(plan.values[id].name); found != record.sources.end())
          result.sources = found->second;
        if (result.sources.empty()) {
          result.not_compared = plan.steps[i].op.find("quantize") != std::string::npos && !is_floating(result.dtype)
                                    ? "8-bit codes; their error is in the products that read them"
                                    : "no value of the model is what it computes";
        }
        made_by_.emplace(id, out_.steps.size());
        out_.steps.push_back(std::move(result));
      }
    }
    if (std::ranges::find(asked_, true) == asked_.end())
      return fail(ErrorCode::usage, "no step has a node or an op of that name", "layers '" + options_.layers + "'");
    std::vector<bool> needed = asked_;
    for (std::size_t i = plan.steps.size(); i-- > 0;) {  // readers come after what they read
      if (needed[i] && (asked_[i] || !compared(i))) need_operands(plan.steps[i], needed);
    }
    return keep(needed);
  }

  bool compared(std::size_t step) const {
    return std::ranges::all_of(out_.plan->steps[step].outputs,
                               [&](plan::ValueId id) { return out_.steps[made_by_.at(id)].not_compared.empty(); });
  }

  void need_operands(const plan::Step& step, std::vector<bool>& needed) const {
    for (const plan::ValueId id : step.inputs) {
      if (const auto made = made_by_.find(root(id)); made != made_by_.end())
        needed[out_.steps[made->second].step] = true;
    }
  }

  Status keep(const std::vector<bool>& needed) {
    std::size_t bytes = 0;
    for (const auto& [id, result] : made_by_) {
      const StepAccuracy& step = out_.steps[result];
      if (!needed[step.step] || !step.not_compared.empty()) continue;
      INTAGLIO_TRY(const std::size_t size, byte_count(step.shape, step.dtype));
      bytes += size;
      kept_.push_back({result, id, {}, std::vector<std::optional<ir::Tensor>>(step.sources.size())});
    }
    if (bytes <= options_.max_bytes) return {};
    return fail(ErrorCode::unsupported,
                fmt::format("{} bytes of values would have to be kept; the limit is {}", bytes, options_.max_bytes), {},
                "ask for fewer layers or smaller inputs");
  }

  // ---- the compiled model
  Status run_plan(plan::Context& context) {
    std::vector<plan::InputView> views;
    std::vector<ir::Tensor> aligned;
    for (const ir::Tensor& input : inputs_) {
      INTAGLIO_TRY(ir::Tensor copy, ir::Tensor::copy_of(input.dtype, input.shape, {input.data, input.bytes}));
      aligned.push_back(std::move(copy));
    }
    for (const ir::Tensor& input : aligned) views.push_back({input.data, input.dtype, input.shape});
    std::vector<plan::OutputView> memory;
    for (std::size_t i = 0; i < out_.plan->outputs.size(); ++i) {
      const DType dtype = out_.plan->values[out_.plan->outputs[i].value].dtype;
      std::byte* bytes = nullptr;
      INTAGLIO_TRY(ir::Tensor output, ir::Tensor::allocate(dtype, context.bound()->output_shapes[i], &bytes));
      memory.push_back({bytes, output.bytes});
      outputs_.push_back(std::move(output));
    }
    std::vector<std::vector<Kept*>> of_step(out_.plan->steps.size());
    for (Kept& kept : kept_) of_step[result_of(kept).step].push_back(&kept);
    Status copied;
    INTAGLIO_CHECK(context.run_observed(views, memory, [&](std::uint32_t step) {
      for (Kept* kept : of_step[step]) {
        auto copy =
            ir::Tensor::copy_of(result_of(*kept).dtype, result_of(*kept).shape, context.value_bytes(kept->value));
        if (copy) {
          kept->actual = *std::move(copy);
        } else if (copied) {
          copied = fail(std::move(copy).error());
        }
      }
    }));
    return copied;
  }

  // ---- the reference
  Status run_reference() {
    for (Kept& kept : kept_) {
      const auto& sources = result_of(kept).sources;
      for (std::size_t part = 0; part < sources.size(); ++part) waiting_[sources[part]].push_back({&kept, part});
    }
    for (std::size_t i = 0; i < inputs_.size(); ++i) have(graph_.inputs()[i].value->name(), inputs_[i]);
    for (const ir::Value& value : graph_.values()) {
      if (value.is_constant()) have(value.name(), value.constant());
    }
    const interp::Options options{interp::Precision::f64, options_.max_bytes};
    const auto observe = [&](const ir::Value& value, const ir::Tensor& tensor) { have(value.name(), tensor); };
    INTAGLIO_TRY(const auto exact, interp::run_observed(graph_, inputs_, options, observe));
    std::erase_if(kept_, [](const Kept& kept) { return kept.parts.empty(); });
    for (std::size_t i = 0; i < exact.size(); ++i)
      out_.outputs.push_back({graph_.outputs()[i].name, error_figures(outputs_[i], {&exact[i], 1})});
    return {};
  }

  // The reference has a value: whoever waits for it and lacks no other part is compared, and its memory freed.
  void have(const std::string& name, const ir::Tensor& tensor) {
    const auto found = waiting_.find(name);
    if (found == waiting_.end()) return;
    for (const auto& [kept, part] : found->second) {
      kept->parts[part] = tensor;
      if (std::ranges::all_of(kept->parts, [](const auto& one) { return one.has_value(); })) compare(*kept);
    }
    waiting_.erase(found);
  }

  void compare(Kept& kept) {
    StepAccuracy& result = result_of(kept);
    std::vector<ir::Tensor> parts;
    std::int64_t elements = 0;
    for (auto& part : kept.parts) {
      elements += part->element_count();
      parts.push_back(*std::move(part));
    }
    if (elements == kept.actual.element_count()) {
      result.error = error_figures(kept.actual, parts);
    } else {
      result.not_compared = fmt::format("it is {}, but the model's '{}' has {} elements", to_string(result.shape),
                                        fmt::join(result.sources, "', '"), elements);
    }
    kept.parts.clear();
    kept.actual = {};
  }

  // ---- after both
  void pass_on_errors() {
    const plan::Plan& plan = *out_.plan;
    for (StepAccuracy& result : out_.steps) {
      for (const plan::ValueId id : plan.steps[result.step].inputs) {
        const auto made = made_by_.find(root(id));
        if (made == made_by_.end()) continue;
        const StepAccuracy& input = out_.steps[made->second];
        result.input_rel_l2 =
            std::max(result.input_rel_l2, input.not_compared.empty() ? input.error.rel_l2 : input.input_rel_l2);
      }
    }
  }

  void drop_unasked() {
    std::erase_if(out_.steps, [&](const StepAccuracy& result) { return !asked_[result.step]; });
  }

  struct Part {
    Kept* kept;
    std::size_t index;
  };

  const ir::Graph& graph_;
  std::span<const ir::Tensor> inputs_;
  const AccuracyOptions& options_;
  Accuracy out_;
  std::vector<bool> asked_;                       // of every step
  std::map<plan::ValueId, std::size_t> made_by_;  // values that steps write -> their result
  std::vector<Kept> kept_;                        // not resized while `waiting_` points into it
  std::map<std::string, std::vector<Part>> waiting_;
  std::vector<ir::Tensor> outputs_;
};

}  // namespace

Result<TracedPlan> compile_traced(ir::Graph graph, std::string name, const CompileOptions& options) {
  graph.remember_values();
  TracedPlan out;
  const auto start = Clock::now();
  INTAGLIO_TRY(out.plan, compile_graph(ir::clone(graph), std::move(name), "", options, &out.record));
  out.compile_ms = since(start);
  out.graph = std::move(graph);
  return out;
}

Result<Accuracy> measure_accuracy(const TracedPlan& traced, std::span<const ir::Tensor> inputs,
                                  const AccuracyOptions& options) {
  return Comparison(traced.graph, inputs, options).run(traced.plan, traced.record);
}

}  // namespace intaglio::compile
