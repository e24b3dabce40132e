#include "api/measure.h"

#include <algorithm>
#include <chrono>

#include "kernels/probe/table.h"

namespace intaglio::internal {

namespace {

constexpr int kRuns = 7;
constexpr double kRunSeconds = 0.02;

template <class F>
double seconds(F&& f) {
  const auto start = std::chrono::steady_clock::now();
  f();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// The best rate of `work` units per call, with as many calls a run as take about kRunSeconds.
template <class F>
double best_rate(double work, F&& call) {
  std::size_t calls = 1;
  while (seconds([&] { call(calls); }) < kRunSeconds / 2) calls *= 2;
  double best = 0;
  for (int run = 0; run < kRuns; ++run)
    best = std::max(best, work * static_cast<double>(calls) / seconds([&] { call(calls); }));
  return best;
}

bool usable(const char* token, IsaSet isa) {
  const auto level = parse_isa(token);
  return level && contains(isa, *level);
}

void measure_peaks(IsaSet isa, std::vector<v1::DoctorMeasurement>& out) {
  using kernels::probe::ComputeRow;
  for (std::size_t i = 0; i < kernels::probe::kComputeProbeCount; ++i) {
    const ComputeRow& row = kernels::probe::kComputeProbes[i];
    if (!usable(row.isa, isa)) continue;
    alignas(64) std::byte sink[kernels::probe::kSinkBytes];
    const double rate = best_rate(row.operations, [&](std::size_t calls) { row.kernel(calls, sink); });
    out.push_back({std::string(name_of(row.quantity)) + " peak " + row.isa, rate / 1e9,
                   is_integer(row.quantity) ? "GOP/s" : "GFLOP/s"});
  }
}

void measure_reads(IsaSet isa, std::size_t l1, std::size_t l2, std::size_t l3,
                   std::vector<v1::DoctorMeasurement>& out) {
  const kernels::probe::ReadRow* best = nullptr;
  for (std::size_t i = 0; i < kernels::probe::kReadProbeCount; ++i) {
    if (usable(kernels::probe::kReadProbes[i].isa, isa))
      best = &kernels::probe::kReadProbes[i];  // the table's last is the widest
  }
  if (best == nullptr) return;
  struct Level {
    const char* name;
    std::size_t bytes;
  };
  const Level levels[] = {
      {"L1", l1 / 2}, {"L2", l2 / 2}, {"L3", l3 / 2}, {"memory", std::max<std::size_t>(4 * l3, 256 << 20)}};
  for (const Level& level : levels) {
    const std::size_t bytes = level.bytes / kernels::probe::kReadGranule * kernels::probe::kReadGranule;
    auto buffer = Buffer::allocate_zeroed(bytes, true);
    if (bytes == 0 || !buffer) continue;
    std::uint64_t mix = 0;
    const double rate = best_rate(static_cast<double>(bytes), [&](std::size_t calls) {
      for (std::size_t call = 0; call < calls; ++call) mix += best->kernel(buffer->data(), bytes);
    });
    if (mix == 1) continue;  // uses the result; the buffer is all zeros, so it is never 1 twice
    out.push_back({std::string("read bandwidth ") + level.name, rate / 1e9, "GB/s"});
  }
}

}  // namespace

std::vector<v1::DoctorMeasurement> measure_machine(IsaSet isa, std::size_t l1, std::size_t l2, std::size_t l3) {
  std::vector<v1::DoctorMeasurement> out;
  measure_peaks(isa, out);
  measure_reads(isa, l1, l2, l3, out);
  return out;
}

}  // namespace intaglio::internal
