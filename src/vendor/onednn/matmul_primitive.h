// A linear as one oneDNN matmul: which primitive, which attributes, which arguments it takes at run time.
#pragma once

#include <optional>
#include <vector>

#include "ops/linear.h"
#include "vendor/onednn/library.h"

namespace intaglio::vendor::onednn {

// Everything that decides the primitive.
struct MatmulSpec {
  const ops::LinearDescriptor& d;
  bool weight_zero = false;  // packed weights have a zero point (one: oneDNN's kernels take no more)
  std::int64_t m = 0;
  bool scale_by_row = false;  // x_scale has m elements
  int threads = 1;
};

// What an argument of the primitive holds.
enum class Role : std::uint8_t {
  x,
  weight,  // as packed
  bias,    // f32 [N]
  y,
  x_scale,       // f32, one or [M]
  x_zero,        // i32, one
  weight_scale,  // f32 [N]
  weight_zero,   // i32, one
  alpha,         // f32, one
  output_scale,  // f32, one
  output_zero,   // i32, one
  residual,
  scratchpad,
};

struct Argument {
  int name = 0;  // DNNL_ARG_...
  dnnl::memory::desc desc;
  Role role = Role::x;
};

struct Matmul {
  dnnl::matmul::primitive_desc primitive;
  std::vector<Argument> arguments;

  bool reference() const;              // oneDNN has no kernel, only its unoptimised loops
  std::string implementation() const;  // "brg_matmul:avx512_core_vnni"
};

// `weight`: the layout of packed weights; nullopt: oneDNN's choice. Throws dnnl::error: unimplemented.
Matmul make_matmul(const MatmulSpec& spec, const std::optional<dnnl::memory::desc>& weight);

// The packed weight for a spec that scales by row, where a matrix is a batch of one, from that of the same spec
// without. nullopt: oneDNN lays them out differently. Throws dnnl::error.
std::optional<dnnl::memory::desc> batched_weight(const MatmulSpec& spec, const dnnl::memory::desc& weight);

// Weights are packed once for any M: in the layout that oneDNN chooses for this many rows, which its kernels then take
// at every M (the test looks).
inline constexpr std::int64_t kPackingRows = 128;

// Why the descriptor cannot be one primitive; nullopt if it can. Throws nothing.
std::optional<std::string> refuse_matmul(const ops::LinearDescriptor& d, bool weight_zero);

}  // namespace intaglio::vendor::onednn
