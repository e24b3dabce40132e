// Peaks and bandwidths of one core, timed with the probe kernels.
#pragma once

#include "api/rooms.h"

namespace intaglio::internal {

// Each figure is the best of several runs of about 20 ms. Cache sizes in bytes decide which buffers stand for which
// level.
std::vector<v1::DoctorMeasurement> measure_machine(IsaSet isa, std::size_t l1, std::size_t l2, std::size_t l3);

}  // namespace intaglio::internal
