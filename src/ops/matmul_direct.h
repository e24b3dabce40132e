// Internal to matmul: f32 products of few rows with b where it lies (kernels/direct).
#pragma once

#include "base/isa.h"
#include "kernels/direct/table.h"
#include "ops/matmul_op.h"

namespace intaglio::ops {

class DirectMatmul {
 public:
  explicit DirectMatmul(IsaSet isa);

  // Is the product of few rows, so that packing b would cost more than it saves? A function of the shape alone.
  static bool wins(const MatmulShape& shape);
  // The same product with the roles of a and b exchanged: y^T = b^T a^T, for y that is one column (n = 1).
  static MatmulShape exchanged(const MatmulShape& shape);

  // The worker's share. a: rows of k elements, `a_pitch` apart, m of them to a matrix of m * k elements.
  struct Operands {
    const float* a = nullptr;
    std::size_t a_pitch = 0;
    const float* b = nullptr;
    float* y = nullptr;
    float alpha = 1.0f;
  };
  void run(const MatmulShape& shape, const Operands& operands, const Worker& worker) const noexcept;

  static ThreadSplit split_of(const MatmulShape& shape);

  // The row of the table for this b.
  const kernels::direct::KernelRow& row(const MatmulShape& shape) const;

 private:
  const kernels::direct::KernelRow* columns_;
  const kernels::direct::KernelRow* dots_;
};

}  // namespace intaglio::ops
