#include "api/measure.h"

#include <algorithm>
#include <chrono>

namespace intaglio::internal {

namespace {

template <class F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The best rate of `work` units per call, with as many calls a run as take about effort.seconds.
template <class F>
double best_rate(double work, const Effort& effort, F&& call) {
  std::size_t calls = 1;
  while (seconds([&] { call(calls); }) < effort.seconds / 2) calls *= 2;
  double best = 0;
  for (int run = 0; run < effort.runs; ++run)
    best = std::max(best, work * static_cast<double>(calls) / seconds([&] { call(calls); }));
  return best;
}

bool usable(const char* token, IsaSet isa) {
  const auto level = parse_isa(token);
  return level && contains(isa, *level);
}

std::vector<Peak> measure_peaks(IsaSet isa, const Effort& effort) {
  using kernels::probe::ComputeRow;
  std::vector<Peak> out;
  for (std::size_t i = 0; i < kernels::probe::kComputeProbeCount; ++i) {
    const ComputeRow& row = kernels::probe::kComputeProbes[i];
    if (!usable(row.isa, isa)) continue;
    alignas(64) std::byte sink[kernels::probe::kSinkBytes];
    const double rate = best_rate(row.operations, effort, [&](std::size_t calls) { row.kernel(calls, sink); });
    out.push_back({row.quantity, row.isa, rate});
  }
  return out;
}

std::vector<ReadRate> measure_reads(IsaSet isa, std::size_t l1, std::size_t l2, std::size_t l3, const Effort& effort) {
  const kernels::probe::ReadRow* best = nullptr;
  for (std::size_t i = 0; i < kernels::probe::kReadProbeCount; ++i) {
    if (usable(kernels::probe::kReadProbes[i].isa, isa))
      best = &kernels::probe::kReadProbes[i];  // the table's last is the widest
  }
  std::vector<ReadRate> out;
  if (best == nullptr) return out;
  struct Level {
    const char* name;
    std::size_t bytes, capacity;
  };
  const Level levels[] = {{"L1", l1 / 2, l1},
                          {"L2", l2 / 2, l2},
                          {"L3", l3 / 2, l3},
                          {"memory", std::max<std::size_t>(4 * l3, 256 << 20), 0}};
  for (const Level& level : levels) {
    const std::size_t bytes = level.bytes / kernels::probe::kReadGranule * kernels::probe::kReadGranule;
    auto buffer = Buffer::allocate_zeroed(bytes, true);
    if (bytes == 0 || !buffer) continue;
    std::uint64_t mix = 0;
    const double rate = best_rate(static_cast<double>(bytes), effort, [&](std::size_t calls) {
      for (std::size_t call = 0; call < calls; ++call) mix += best->kernel(buffer->data(), bytes);
    });
    if (mix == 1) continue;  // uses the result; the buffer is all zeros, so it is never 1 twice
    out.push_back({level.name, level.capacity, rate});
  }
  return out;
}

}  // namespace

Rates measure_rates(IsaSet isa, std::size_t l1, std::size_t l2, std::size_t l3, const Effort& effort) {
  return {measure_peaks(isa, effort), measure_reads(isa, l1, l2, l3, effort)};
}

Rates best_of(Rates a, const Rates& b) {
  for (std::size_t i = 0; i < std::min(a.peaks.size(), b.peaks.size()); ++i)
    a.peaks[i].per_second = std::max(a.peaks[i].per_second, b.peaks[i].per_second);
  for (std::size_t i = 0; i < std::min(a.reads.size(), b.reads.size()); ++i)
    a.reads[i].per_second = std::max(a.reads[i].per_second, b.reads[i].per_second);
  return a;
}

std::string name_of(const Peak& peak) {
  return std::string(kernels::probe::name_of(peak.quantity)) + " peak " + peak.isa;
}

std::string name_of(const ReadRate& rate) {
  return std::string("read bandwidth ") + rate.level;
}

std::vector<v1::DoctorMeasurement> as_measurements(const Rates& rates) {
  std::vector<v1::DoctorMeasurement> out;
  for (const Peak& peak : rates.peaks)
    out.push_back({name_of(peak), peak.per_second / 1e9, is_integer(peak.quantity) ? "GOP/s" : "GFLOP/s"});
  for (const ReadRate& read : rates.reads) out.push_back({name_of(read), read.per_second / 1e9, "GB/s"});
  return out;
}

}  // namespace intaglio::internal
