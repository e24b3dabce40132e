// How much memory a problem must touch, for the `bytes` of bindings. Internal to ops.
#pragma once

#include "ops/prepared_op.h"

namespace intaglio::ops {

// Of one operand. Precondition: its sizes were checked (base/shape.h), so that nothing overflows that exists.
inline double bytes_of(const Operand& operand) {
  double bytes = static_cast<double>(size_of(operand.dtype));
  for (const std::int64_t dim : operand.shape) bytes *= static_cast<double>(dim);
  return bytes;
}

// Of all operands: what an op moves that reads every input and writes every output once.
inline double operand_bytes(const BindRequest& request) {
  double bytes = 0;
  for (const Operand& operand : request.inputs) bytes += bytes_of(operand);
  for (const Operand& operand : request.outputs) bytes += bytes_of(operand);
  return bytes;
}

}  // namespace intaglio::ops
