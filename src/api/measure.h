// Peaks and bandwidths of one core, timed with the probe kernels.
#pragma once

#include "api/rooms.h"
#include "kernels/probe/table.h"

namespace intaglio::internal {

// What one core does at most of one kind of arithmetic.
struct Peak {
  kernels::probe::Quantity quantity = kernels::probe::Quantity::fma_f32;
  const char* isa = "";  // token of base/isa.inc
  double per_second = 0;
};
// How fast one core reads what lies in a level of the memory.
struct ReadRate {
  const char* level = "";    // "L1", "L2", "L3", "memory"
  std::size_t capacity = 0;  // bytes that the level holds; 0 for memory: all
  double per_second = 0;
};
struct Rates {
  std::vector<Peak> peaks;
  std::vector<ReadRate> reads;  // nearest level first
};

// Each figure is the best of `runs` runs of at least half of `seconds`: many short ones find the moments when nobody
// else uses the core.
struct Effort {
  int runs = 7;
  double seconds = 0.02;
};
// Cache sizes in bytes decide which buffers stand for which level.
Rates measure_rates(IsaSet isa, std::size_t l1, std::size_t l2, std::size_t l3, const Effort& effort = {});
// The better of each figure. Precondition: both were measured with the same ISA and sizes.
Rates best_of(Rates a, const Rates& b);

std::string name_of(const Peak& peak);      // "f32 peak avx512"
std::string name_of(const ReadRate& rate);  // "read bandwidth L2"
std::vector<v1::DoctorMeasurement> as_measurements(const Rates& rates);

}  // namespace intaglio::internal
