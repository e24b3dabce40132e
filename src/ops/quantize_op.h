// What the parts of the family "quantize" share. Internal to ops.
#pragma once

#include "kernels/quantize/table.h"
#include "ops/candidate.h"
#include "ops/kernel_choice.h"
#include "ops/quantize.h"

namespace intaglio::ops {

// The best row; the scalar one if the set names no level at all.
inline const kernels::quantize::KernelRow* choose_quantize(kernels::quantize::Group group, IsaSet isa) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  return best_row(kernels::quantize::kKernels, kernels::quantize::kKernelCount, set,
                  [&](const auto& row) { return row.group == group; });
}
// source: f32 or bf16.
inline const kernels::quantize::RowKernelRow* choose_quantize_row(DType source, IsaSet isa) {
  const IsaSet set{isa.bits | isa_bit(Isa::scalar)};
  return best_row(kernels::quantize::kRowKernels, kernels::quantize::kRowKernelCount, set,
                  [&](const auto& row) { return row.source == source; });
}

// Arguments of a symmetric quantisation to i8 or u8.
inline kernels::quantize::RowArgs symmetric_args(const SymmetricRule& rule, DType output) {
  kernels::quantize::RowArgs args;
  args.rule = kernels::quantize::Rule::symmetric;
  args.plus128 = output == DType::u8;
  args.divisor = static_cast<float>(rule.divisor);
  args.least = static_cast<float>(rule.least);
  args.by_reciprocal = rule.by_reciprocal;
  return args;
}

constexpr bool is_dynamic(QuantizeKind kind) {
  return kind != QuantizeKind::quantize && kind != QuantizeKind::dequantize;
}
// The kinds of which is_dynamic is true.
std::unique_ptr<PreparedOp> prepare_dynamic_quantize(const QuantizeDescriptor& descriptor, const Target& target);

}  // namespace intaglio::ops
