#include "kernels/probe/table.h"

namespace intaglio::kernels::probe {

const ComputeRow kComputeProbes[] = {
#define INTAGLIO_PROBE_COMPUTE(name, isa, quantity, operations) {#name, #isa, Quantity::quantity, operations, &name},
#define INTAGLIO_PROBE_READ(name, isa)
#include "kernels/probe/kernels.inc"
#undef INTAGLIO_PROBE_COMPUTE
#undef INTAGLIO_PROBE_READ
};
const std::size_t kComputeProbeCount = sizeof(kComputeProbes) / sizeof(kComputeProbes[0]);

const ReadRow kReadProbes[] = {
#define INTAGLIO_PROBE_COMPUTE(name, isa, quantity, operations)
#define INTAGLIO_PROBE_READ(name, isa) {#name, #isa, &name},
#include "kernels/probe/kernels.inc"
#undef INTAGLIO_PROBE_COMPUTE
#undef INTAGLIO_PROBE_READ
};
const std::size_t kReadProbeCount = sizeof(kReadProbes) / sizeof(kReadProbes[0]);

}  // namespace intaglio::kernels::probe
