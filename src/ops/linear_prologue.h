// What happens to the activations of a linear before they are multiplied: dynamic quantisation, widening to f32, sums
// of rows. Internal to linear*.
#pragma once

#include "kernels/quantize/table.h"
#include "ops/elementwise_op.h"
#include "ops/linear_binding.h"

namespace intaglio::ops {

class LinearPrologue {
 public:
  LinearPrologue(const LinearDescriptor& descriptor, kernels::gemm::Types types, bool weight_zeros, IsaSet isa);

  // Does x have to be rewritten before the kernel can read it?
  bool rewrites() const;
  // Are there sums of rows to take (weights with zero points, groups of 4-bit codes)?
  bool sums_rows() const { return weight_zeros_ || types_ == kernels::gemm::Types::s8w4; }
  // Bytes of this thread's scratch: one row in f32.
  std::size_t thread_scratch_bytes() const;

  // The phases of LinearPhase with the same names; every thread its share of the rows.
  void measure(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept;
  void prepare(const LinearBinding& binding, const RunArgs& args, const Worker& worker) const noexcept;

  // The scale and zero point of a dynamic quantisation; of an 8-bit input, what was given.
  struct Quantisation {
    float scale;
    std::int32_t zero;  // as the kernel reads the activations: 128 for symmetric u8
  };
  // The whole tensor's, from what all threads measured.
  Quantisation of_tensor(const LinearBinding& binding, const RunArgs& args, int threads) const noexcept;
  // The zero point of row i of an 8-bit input.
  std::int32_t given_zero(const RunArgs& args, std::size_t i) const noexcept;
  // Symmetric activations are multiplied as u8, 128 higher.
  static constexpr std::int32_t kSymmetricOffset = 128;

 private:
  struct Extremes {
    float low, high;
  };
  Quantisation from(Extremes extremes) const noexcept;
  Extremes extremes_of(const float* row) const noexcept;
  const float* float_row(const RunArgs& args, std::size_t i) const noexcept;
  void sum_row(const LinearBinding& binding, const RunArgs& args, std::size_t i, std::int32_t zero) const noexcept;

  LinearDescriptor d_;
  kernels::gemm::Types types_;
  bool weight_zeros_;
  bool by_token_, symmetric_;
  const kernels::quantize::KernelRow* extremes_;
  const kernels::quantize::KernelRow* quantize_;
  ElementwiseKernels convert_;
};

}  // namespace intaglio::ops
