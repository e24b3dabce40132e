// Internal to matmul*: concrete shapes, and the prepared ops.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/gemm/table.h"
#include "ops/matmul.h"

namespace intaglio::ops {

// Where a matrix lies inside an operand, in elements: (i, j) at base + i * row_stride + j * column_stride.
struct MatrixStrides {
  std::size_t row = 0, column = 0;
};

// The operands of one binding, matrices counted in their row-major batch order.
struct MatmulShape {
  std::size_t m = 0, n = 0, k = 0;
  std::size_t a_matrices = 1, b_matrices = 1, batches = 1;  // in the operands, in the output
  MatrixStrides a, b;                                       // [M, K] and [K, N]
  struct BatchDim {
    std::size_t size = 1, a_step = 0, b_step = 0;  // steps in matrices of the operands; 0 where they broadcast
  };
  std::vector<BatchDim> batch;  // innermost first
  // The operands' matrices of output matrix `index`.
  struct Pair {
    std::size_t a = 0, b = 0;
  };
  Pair at(std::size_t index) const {
    Pair out;
    for (const BatchDim& dim : batch) {
      out.a += index % dim.size * dim.a_step;
      out.b += index % dim.size * dim.b_step;
      index /= dim.size;
    }
    return out;
  }
};
// Errors (usage): dtypes, ranks, K of a and b, batches that do not broadcast, an output of another shape, zero points
// of another size; sizes that overflow.
Result<MatmulShape> resolve_matmul(const MatmulDescriptor& descriptor, const BindRequest& request);

// Whether the GEMM kernels multiply these types, and as which.
bool has_gemm(const MatmulDescriptor& descriptor);
kernels::gemm::Types gemm_types(const MatmulDescriptor& descriptor, IsaSet isa);

// f32, f16, bf16 and 8-bit integers.
std::unique_ptr<PreparedOp> prepare_matmul_packed(const MatmulDescriptor& descriptor, const Target& target);
// All other types.
std::unique_ptr<PreparedOp> prepare_matmul_plain(const MatmulDescriptor& descriptor);

}  // namespace intaglio::ops
