// The times of an explanation: predicted by the roofline model, and measured.
#include <algorithm>

#include "api/model_impl.h"
#include "api/near_miss.h"
#include "api/predict.h"

namespace intaglio::internal {

namespace {

double bytes_of(const plan::Plan& plan, const plan::BoundPlan& bound, plan::ValueId id) {
  double bytes = static_cast<double>(room_size_of(plan.values[id].dtype));
  for (const std::int64_t dim : plan::shape_of(plan, bound, id)) bytes *= static_cast<double>(dim);
  return bytes;
}

// What a step reads of weights; of tables that it only picks from, no more than it moves at all.
double constant_bytes(const plan::Plan& plan, const plan::BoundPlan& bound, const plan::Step& step, double most) {
  double bytes = 0;
  for (const std::uint32_t blob : step.blobs) bytes += static_cast<double>(plan.blobs[blob].bytes);
  for (const plan::ValueId id : step.inputs) {
    if (bound.locations[id].home == plan::Home::constant) bytes += bytes_of(plan, bound, id);
  }
  return std::min(bytes, most);
}

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Of the thread that was in the step longest; negative if none took part. Where no barrier separates steps, threads are
// at different ones: from the first begin to the last end would count their waiting for an earlier step.
double step_us(const v1::ProfiledRun& run, std::size_t step, std::size_t steps) {
  std::int64_t longest = -1;
  for (std::size_t i = step; i < run.spans.size(); i += steps) {
    if (run.spans[i].end_ns != 0) longest = std::max(longest, run.spans[i].end_ns - run.spans[i].begin_ns);
  }
  return longest < 0 ? -1 : static_cast<double>(longest) / 1e3;
}

constexpr int kWarmup = 3;
constexpr double kMostSeconds = 3;
constexpr int kLeastRuns = 5;

void add_predictions(const plan::Plan& plan, const plan::BoundPlan& bound, const Rates& rates, v1::Explanation& out) {
  const double run_bytes = static_cast<double>(out.weight_bytes + out.arena_bytes);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    v1::ExplainedStep& step = out.steps[i];
    StepWork work{step.flops, constant_bytes(plan, bound, plan.steps[i], step.bytes),
                  0,          plan.steps[i].prepared->facts().products,
                  step.isa,   step.threads};
    work.other_bytes = step.bytes - work.constant_bytes;
    const Prediction told = predict(rates, work, run_bytes);
    step.predicted_us = told.seconds * 1e6;
    step.roof = told.roof;
  }
  for (v1::NearMiss& miss : out.near_misses) {
    const std::optional<double> bytes = bytes_exchanged(plan, bound, miss.node);
    const ReadRate* level = level_of(rates, bytes.value_or(0), out.threads);
    if (bytes && level != nullptr) miss.cost_us = 2 * *bytes / (level->per_second * out.threads) * 1e6;
  }
}

// The machine now: short runs, so that explain() stays a matter of seconds.
Rates measure_now() {
  constexpr Effort kEffort{16, 0.004};
  const cpu::Machine& machine = cpu::detect();
  const IsaSet usable = cpu::usable_isa(machine, unwrap(read_environment()).max_isa);
  return measure_rates(usable, machine.caches.l1d, machine.caches.l2, machine.caches.l3, kEffort);
}

void measure_steps(const v1::Model& model, std::span<const v1::TensorView> inputs,
                   std::span<const v1::Shape> output_shapes, int runs, v1::Explanation& out) {
  std::vector<v1::Tensor> outputs;
  std::vector<v1::MutableView> views;
  for (std::size_t i = 0; i < output_shapes.size(); ++i) {
    outputs.push_back(v1::Tensor::zeros(model.outputs()[i].dtype, output_shapes[i]));
    views.push_back({outputs.back().data(), outputs.back().byte_count()});
  }
  v1::Context context = model.make_context();
  const v1::Profile warm = context.profile(inputs, views, std::min(runs, kWarmup));
  const double seconds = static_cast<double>(warm.runs.back().end_ns - warm.runs.back().begin_ns) / 1e9;
  const double affordable = kMostSeconds / std::max(seconds, 1e-9);
  out.runs = std::min(runs, affordable < kLeastRuns ? kLeastRuns : static_cast<int>(std::min(affordable, 1e6)));
  const v1::Profile profile = context.profile(inputs, views, out.runs);
  std::vector<double> times;
  for (const v1::ProfiledRun& run : profile.runs) times.push_back(static_cast<double>(run.end_ns - run.begin_ns) / 1e3);
  out.run_us = median(times);
  for (std::size_t i = 0; i < out.steps.size(); ++i) {
    times.clear();
    for (const v1::ProfiledRun& run : profile.runs) {
      if (const double us = step_us(run, i, out.steps.size()); us >= 0) times.push_back(us);
    }
    if (times.empty()) continue;
    v1::ExplainedStep& step = out.steps[i];
    step.measured_us = median(times);
  }
}

}  // namespace

void add_times(const v1::Model& model, const plan::Plan& plan, const plan::BoundPlan& bound,
               std::span<const v1::TensorView> inputs, int runs, v1::Explanation& out) {
  const Rates before = measure_now();
  measure_steps(model, inputs, bound.output_shapes, runs, out);
  const Rates rates = best_of(before, measure_now());
  out.machine = as_measurements(rates);
  add_predictions(plan, bound, rates, out);
  for (v1::ExplainedStep& step : out.steps) {
    if (step.measured_us.value_or(0) > 0) step.roofline_percent = 100 * *step.predicted_us / *step.measured_us;
  }
}

}  // namespace intaglio::internal
