#include "api/predict.h"

#include <algorithm>

namespace intaglio::internal {

namespace {

using kernels::probe::Quantity;

// The probes that stand for a kind of product, best first: those that also load their operands are nearer to what a
// matrix product can do.
std::vector<Quantity> quantities_of(ops::Products products) {
  switch (products) {
    case ops::Products::bf16:
      return {Quantity::dot_bf16_fed, Quantity::dot_bf16, Quantity::fma_f32};
    case ops::Products::int8:
      return {Quantity::dot_u8s8_fed, Quantity::dot_u8s8, Quantity::fma_f32};
    default:
      return {Quantity::fma_f32};
  }
}

bool is_private(std::string_view level) {
  return level == "L1" || level == "L2";
}

}  // namespace

const Peak* peak_of(const Rates& rates, ops::Products products, std::string_view isa) {
  // Scalar code is compiled for x86-64-v2, whose vectors the compiler may use.
  const Isa wanted = std::max(parse_isa(isa).value_or(Isa::sse42), Isa::sse42);
  for (const Quantity quantity : quantities_of(products)) {
    const Peak* best = nullptr;
    for (const Peak& peak : rates.peaks) {
      const auto level = parse_isa(peak.isa);
      if (peak.quantity != quantity || !level || !contains(closure_of(wanted), *level)) continue;
      if (*level == wanted) return &peak;
      if (best == nullptr || peak.per_second > best->per_second) best = &peak;
    }
    if (best != nullptr) return best;
  }
  return nullptr;
}

const ReadRate* level_of(const Rates& rates, double bytes, int threads) {
  for (const ReadRate& rate : rates.reads) {
    const double cores = is_private(rate.level) ? std::max(threads, 1) : 1;
    if (rate.capacity == 0 || bytes <= static_cast<double>(rate.capacity) * cores) return &rate;
  }
  return rates.reads.empty() ? nullptr : &rates.reads.back();
}

Prediction predict(const Rates& rates, const StepWork& work, double run_bytes) {
  const int threads = std::max(work.threads, 1);
  Prediction compute, memory;
  const Peak* peak = peak_of(rates, work.products, work.isa);
  if (work.flops > 0 && peak != nullptr) {
    // Doubles are half as many to a vector.
    const double rate = peak->per_second * (work.products == ops::Products::f64 ? 0.5 : 1.0);
    compute = {work.flops / (rate * threads), name_of(*peak)};
  }
  double slowest = 0;
  const auto add = [&](double bytes, double among) {
    const ReadRate* level = level_of(rates, among, threads);
    if (bytes <= 0 || level == nullptr) return;
    const double seconds = bytes / (level->per_second * threads);
    memory.seconds += seconds;
    if (seconds > slowest) memory.roof = name_of(*level);
    slowest = std::max(slowest, seconds);
  };
  add(work.constant_bytes, run_bytes);
  add(work.other_bytes, work.constant_bytes + work.other_bytes);
  return compute.seconds >= memory.seconds ? compute : memory;
}

}  // namespace intaglio::internal
