#include "base/env.h"
#include "cpu/machine.h"
#include "ops/candidate.h"

namespace intaglio::ops {

Result<Target> host_target() {
  INTAGLIO_TRY(const EnvOptions environment, read_environment());
  const cpu::Machine& machine = cpu::detect();
  return Target{cpu::usable_isa(machine, environment.max_isa), machine.caches.l1d, machine.caches.l2,
                machine.caches.l3};
}

}  // namespace intaglio::ops
