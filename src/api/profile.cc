// Runs with times.
#include <chrono>

#include "api/model_impl.h"

namespace intaglio {
inline namespace v1 {

namespace {

std::int64_t now_ns() {  // the clock of plan::StepTime
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

void describe_steps(const plan::Plan& plan, const plan::BoundPlan& bound, Profile& out) {
  const std::vector<std::size_t> live = plan::live_bytes(bound);
  for (std::size_t i = 0; i < plan.steps.size(); ++i) {
    const plan::Step& step = plan.steps[i];
    const ops::Binding& binding = *bound.steps[i].binding;
    const ops::PreparedOp::Facts facts = step.prepared->facts();
    out.steps.push_back({step.node, step.op, facts.kernel, facts.isa, facts.epilogue, binding.blocking_text(),
                         binding.flops, binding.bytes, live[i], binding.thread_scratch_bytes,
                         binding.shared_scratch_bytes, bound.steps[i].waits});
  }
  out.arena_bytes = bound.arena_bytes;
  out.barriers = bound.barriers;
}

}  // namespace

Profile Context::profile(std::span<const TensorView> inputs, std::span<const MutableView> outputs, int runs) {
  if (runs < 1) throw v1::Error(v1::ErrorCode::usage, "a profile needs at least one run", "profile");
  plan::Context& context = *impl_->context;
  impl_->set_views(inputs, outputs);
  Profile out;
  out.threads = context.threads();
  out.runs.resize(static_cast<std::size_t>(runs));
  std::vector<plan::StepTime> times(static_cast<std::size_t>(out.threads) * context.plan().steps.size());
  for (ProfiledRun& run : out.runs) run.spans.resize(times.size());
  std::int64_t origin = 0;
  for (ProfiledRun& run : out.runs) {
    const std::int64_t begin = now_ns();
    if (origin == 0) origin = begin;
    internal::unwrap(context.run_timed(impl_->inputs, impl_->outputs, times));
    run.end_ns = now_ns() - origin;
    run.begin_ns = begin - origin;
    for (std::size_t i = 0; i < times.size(); ++i) {
      if (times[i].begin_ns != 0)
        run.spans[i] = {times[i].begin_ns - origin, times[i].end_ns - origin, times[i].waited_ns};
    }
  }
  describe_steps(context.plan(), *context.bound(), out);
  return out;
}

}  // namespace v1
}  // namespace intaglio
