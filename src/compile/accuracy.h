// How far a compiled model is from its graph, step by step: every value that a step of the plan writes is compared with
// the value of the imported graph, before any pass, that it computes (ir::Graph::remember_values), as the float64
// interpreter has it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "compile/compile.h"
#include "ir/tensor.h"

namespace intaglio::compile {

// Elements that are NaN in both, or the same infinity, agree; other elements that are not finite are counted as `odd`
// and left out of the figures but rel_l2, which is infinite then.
struct ErrorFigures {
  double max_abs = 0;  // largest |actual - exact|
  double rmse = 0;     // root of the mean square of actual - exact
  double rel_l2 = 0;   // |actual - exact| / |exact|, Euclidean; 0 if both are 0, infinite if only `exact` is
  double cosine = 1;   // of the angle between them; 1 if either is 0
  std::int64_t odd = 0;
};

// `parts` are tensors whose elements lie side by side along the last axis of `actual` (one: all of it, in any shape);
// together they have as many elements (precondition).
ErrorFigures error_figures(const ir::Tensor& actual, std::span<const ir::Tensor> parts);

// One value that a step writes.
struct StepAccuracy {
  std::uint32_t step = 0;            // into Plan::steps
  DType dtype = DType::f32;          // as the step writes it
  Shape shape;                       // of this run
  std::vector<std::string> sources;  // names of the imported graph's values that it was compared with
  std::string not_compared;          // why it could not be; empty if it was, and the figures are valid
  ErrorFigures error;
  // The largest rel_l2 of what the step read; what cannot be compared passes on that of its own operands.
  double input_rel_l2 = 0;
};
struct OutputAccuracy {
  std::string port;
  ErrorFigures error;
};
struct Accuracy {
  std::shared_ptr<const plan::Plan> plan;
  std::vector<StepAccuracy> steps;  // in order of execution
  std::vector<OutputAccuracy> outputs;
  double run_ms = 0, reference_ms = 0;
};

// A graph as it was imported, and what was compiled of a copy of it.
struct TracedPlan {
  ir::Graph graph;
  std::shared_ptr<const plan::Plan> plan;
  CompileRecord record;  // with sources
  double compile_ms = 0;
};
// `name` and errors: as compile_graph.
Result<TracedPlan> compile_traced(ir::Graph graph, std::string name, const CompileOptions& options);

struct AccuracyOptions {
  // Only steps whose node or op this names: a part of the name, or a pattern with * and ?. Empty: all.
  std::string layers;
  // Copies of values that are kept until the reference has them; the interpreter may use as much once more.
  std::size_t max_bytes = std::size_t{8} << 30;
};

// `inputs` in the order of the graph's. Errors: as plan::Context::run and interp::run; usage if `layers` names no step;
// unsupported if more than max_bytes would have to be kept.
Result<Accuracy> measure_accuracy(const TracedPlan& traced, std::span<const ir::Tensor> inputs,
                                  const AccuracyOptions& options = {});

}  // namespace intaglio::compile
