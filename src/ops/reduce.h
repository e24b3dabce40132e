// Family "reduce": reductions over any axes, argmax and running sums.
//   constants: none      params: none      inputs: x      one output
//   reduce: dtype of x (any, all: bool)      argmax: i64      cumsum: dtype of x
// Sums of f32, f16 and bf16 are accumulated in f64, of integers in their own width (wrapping). The order of the
// additions is that of the memory, whatever the thread count.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ops/descriptor.h"

namespace intaglio::ops {

enum class ReduceKind : std::uint8_t {
  sum,
  mean,
  max,
  min,
  prod,
  l1,
  l2,
  sum_square,
  log_sum,
  log_sum_exp,
  any,
  all,
  argmax,
  cumsum,
};
inline constexpr int kReduceKinds = 14;
// "sum" ... "all" as ir/ops.inc spells them; nullopt for other texts.
std::optional<ReduceKind> parse_reduce_kind(std::string_view text);
std::string_view name_of(ReduceKind kind);

class ReduceDescriptor final : public Descriptor {
 public:
  ReduceKind kind = ReduceKind::sum;
  std::vector<std::int64_t> axes;  // argmax, cumsum: exactly one
  bool take_last = false;          // argmax: of equal elements
  bool smallest = false;           // argmax: argmin
  bool exclusive = false;          // cumsum
  bool reverse = false;            // cumsum

  std::string_view family() const override { return "reduce"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<ReduceDescriptor>(*this); }
};

}  // namespace intaglio::ops
