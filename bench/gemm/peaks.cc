#include "bench/gemm/peaks.h"

#include <ctime>

#include <algorithm>

#include "cpu/machine.h"

namespace intaglio::bench {

namespace probe = kernels::probe;

namespace {

constexpr std::size_t kPiece = 2 * probe::kReadGranule;  // of each stream in turn

double seconds_of(clockid_t clock) {
  timespec t{};
  clock_gettime(clock, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
}

bool runs_here(std::string_view token) {
  const auto isa = parse_isa(token);
  return isa && contains(cpu::detect().isa, *isa);
}

// The part of a probe's name that says what it does: "fma_f32" of "fma_f32_24x16_1x16_avx512". Empty: no such probe.
std::string quantity_of_kernel(std::string_view kernel, bool fed) {
  constexpr std::string_view kPrefix = "gemm_";
  if (!kernel.starts_with(kPrefix)) return {};
  kernel.remove_prefix(kPrefix.size());
  const std::string_view types = kernel.substr(0, kernel.find('_'));
  const std::string dot = fed ? "dot_fed_" : "dot_", fma = fed ? "fma_fed_" : "fma_";
  if (types == "u8s8i32" || types == "s8s8i32" || types == "s8w4") return dot + "u8s8_";
  if (types == "bf16") return dot + "bf16_";
  return fma + (types == "f16" ? "f16_" : "f32_");
}

}  // namespace

double thread_seconds() {
  return seconds_of(CLOCK_THREAD_CPUTIME_ID);
}

double wall_seconds() {
  return seconds_of(CLOCK_MONOTONIC);
}

double measure_compute(const probe::ComputeRow& row, double seconds) {
  alignas(64) unsigned char sink[probe::kSinkBytes];
  std::size_t iterations = 1000;
  for (;; iterations *= 2) {
    const double start = thread_seconds();
    row.kernel(iterations, sink);
    const double taken = thread_seconds() - start;
    if (taken >= seconds) return row.operations * static_cast<double>(iterations) / taken;
  }
}

double measure_read(const Buffer& memory) {
  const probe::ReadRow* best = nullptr;
  for (std::size_t i = 0; i < probe::kReadProbeCount; ++i) {
    if (runs_here(probe::kReadProbes[i].isa)) best = &probe::kReadProbes[i];  // rows ascend
  }
  if (best == nullptr) return 0;
  double fastest = 0;
  for (const std::size_t streams : {1, 4, 8}) {
    const std::size_t pieces = memory.size() / streams / kPiece;
    std::uint64_t mix = 0;
    const double start = thread_seconds();
    for (std::size_t i = 0; i < pieces; ++i) {
      for (std::size_t s = 0; s < streams; ++s) mix ^= best->kernel(memory.data() + (s * pieces + i) * kPiece, kPiece);
    }
    const double seconds = thread_seconds() - start;
    volatile std::uint64_t used = mix;
    (void)used;
    fastest = std::max(fastest, static_cast<double>(pieces * streams * kPiece) / seconds);
  }
  return fastest;
}

const probe::ComputeRow* probe_of_kernel(std::string_view kernel, Isa isa, bool fed) {
  const std::string quantity = quantity_of_kernel(kernel, fed);
  const probe::ComputeRow* best = nullptr;
  for (const probe::ComputeRow* row : compute_probes()) {
    const auto level = parse_isa(row->isa);
    if (quantity.empty() || !std::string_view(row->name).starts_with(quantity) || !level) continue;
    if (!contains(closure_of(isa), *level)) continue;
    if (best == nullptr || *level > *parse_isa(best->isa)) best = row;
  }
  return best;
}

std::vector<const probe::ComputeRow*> compute_probes() {
  std::vector<const probe::ComputeRow*> rows;
  for (std::size_t i = 0; i < probe::kComputeProbeCount; ++i) {
    if (runs_here(probe::kComputeProbes[i].isa)) rows.push_back(&probe::kComputeProbes[i]);
  }
  return rows;
}

}  // namespace intaglio::bench
