// What happens to the activations of a linear before they are multiplied: dynamic quantisation, widening to f32, sums
// of rows. Internal to linear*.
#pragma once

#include "ops/elementwise_op.h"
#include "ops/linear_binding.h"
#include "ops/quantize_op.h"

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

  // The scale and zero point of a dynamic quantisation, as the kernel reads the activations (128 for symmetric u8).
  struct Quantisation {
    float scale = 1.0f;
    std::int32_t zero = 0;
  };
  // The whole tensor's, from what all threads measured.
  Quantisation of_tensor(const LinearBinding& binding, const RunArgs& args, int threads) const noexcept;
  // The zero point of row i of an 8-bit input.
  std::int32_t given_zero(const RunArgs& args, std::size_t i) const noexcept;

 private:
  struct Extremes {
    float low_high[2] = {0.0f, 0.0f};
    void join(const float* other);
  };
  Extremes of_threads(const LinearBinding& binding, const RunArgs& args, int threads) const noexcept;
  void quantise(const LinearBinding& binding, const RunArgs& args, std::size_t i,
                const Extremes* tensor) const noexcept;
  const void* source_row(const RunArgs& args, std::size_t i) const noexcept;

  LinearDescriptor d_;
  kernels::gemm::Types types_;
  bool weight_zeros_;
  const kernels::quantize::KernelRow* extremes_ = nullptr;     // dynamic by tensor
  const kernels::quantize::RowKernelRow* quantize_ = nullptr;  // dynamic
  kernels::quantize::RowArgs quantize_args_;
  DType quantize_from_;  // f32 or bf16; f16 is widened first
  ElementwiseKernels convert_;
};

}  // namespace intaglio::ops
