// One concrete M of a prepared linear: its phases, blocking and scratch. Internal to linear*.
#pragma once

#include "ops/linear.h"
#include "ops/linear_loops.h"

namespace intaglio::ops {

inline constexpr std::size_t kNoOperand = static_cast<std::size_t>(-1);

// Positions of the run-time operands.
struct LinearOperands {
  explicit LinearOperands(const LinearDescriptor& d) {
    std::size_t next = 1;
    if (d.input_zero) zero = next++;
    if (d.input_scale) scale = next++;
    if (d.input_max) max = next++;
    if (d.residual) residual = next++;
    count = next;
  }
  std::size_t zero = kNoOperand, scale = kNoOperand, max = kNoOperand, residual = kNoOperand, count = 1;
};

// What a phase does. measure: extremes of x, for a scale of the whole tensor. prepare: x as the kernel reads it, and
// sums of its rows. multiply: the product. join: row maxima of the threads.
enum class LinearPhase : std::uint8_t { measure, prepare, multiply, join };

struct LinearBinding final : Binding {
  std::size_t m = 0;
  GemmBlocking gemm;
  std::string blocking_text() const override { return to_string(gemm); }
  LinearPhase phase[4] = {};
  bool scale_by_row = false;  // scales of x: one for each row, else one
  bool zero_by_row = false;   // zero points of x: the same
  bool rewritten = false;     // the kernel reads `activations`, not x itself
  // Offsets in the shared scratch.
  std::size_t activations = 0;  // [M][K] of the kernel's type: quantised or widened x
  std::size_t slots = 0;        // measure: per thread {low, high}, a line each
  std::size_t row_scale = 0;    // f32 [M], dynamic by token
  std::size_t row_zero = 0;     // i32 [M], if zero_by_row
  std::size_t row_term = 0;     // i32 [M], if the weights have zero points
  std::size_t row_sums = 0;     // i32 [M][groups], s8w4
  std::size_t row_max = 0;      // f32 [threads][M]
};

}  // namespace intaglio::ops
