// Family "attention": softmax(scale * q k^T + mask) v per batch and head, operands read in place, f32 or bf16.
//
// compute:
//   plain   products of the operands' type, sums and softmax in f32; of bf16 the probabilities are rounded to bf16
//   before
//           they are multiplied with v (unnormalised, 1 at the largest; 1 / sum comes last)
//   int8    q and k symmetric by row and head (max|row| / 127), v symmetric by head and column over at most 512 keys,
//           probabilities round(255 e^(t - max)) in u8, normalised by their own sum; products exact in i32. The
//           quantisation treats a NaN as 0; an infinity makes its rows or columns NaN.
// Whole rows of scores up to 512 keys; beyond, blocks of keys with running maxima.
//
// What a mask hides (bool false, or added <= -1e37 beside a key that the row sees) is not computed: keys before the
// first and behind the last one that the queries of a key head see are as good as absent, to the bit (v is quantised
// without them); within, each block of query rows leaves out, in whole steps of 64 keys, what all its rows leave out
// before and behind. Keys hidden between seen ones are computed. Threads share the blocks by what they see.
//
//   layout packed: qkv [B,S,(H+2*Hk)*D], in a row the heads of q, then those of k, then those of v; y [B,S,H*D]
//   layout bhsd: q [B,H,Sq,D], k [B,Hk,Sk,D], v [B,Hk,Sk,Dv], y [B,H,Sq,Dv]
//   layout bshd: q [B,Sq,H,D], k [B,Sk,Hk,D], v [B,Sk,Hk,Dv], y [B,Sq,H,Dv]     H is a multiple of Hk (grouped queries)
//
// Inputs of a run: q, k, v, mask?; packed: qkv, mask?. The mask broadcasts to [B,H,Sq,Sk] (rank <= 4, never expanded):
// bool (true keeps) or f32 (added). causal: key j is visible to query i if j <= i. A row without a visible key (all
// masked, or -inf everywhere) gives what `blind` says; an added mask of the lowest finite f32 hides keys beside others
// and gives their mean if it is everywhere. No params, no packed constants. ONNX: the MatMul, Mul, Add, Softmax, MatMul
// pattern, Attention; ATen scaled_dot_product_attention.
#pragma once

#include "ops/candidate.h"

namespace intaglio::ops {

enum class AttentionLayout : std::uint8_t { bhsd, bshd, packed };
enum class AttentionCompute : std::uint8_t { plain, int8 };
enum class AttentionMask : std::uint8_t { none, kept, added };  // kept: bool, added: f32
// A row without a visible key: 0, NaN, or the mean of all rows of v, hidden ones too.
enum class AttentionBlind : std::uint8_t { zero, nan, mean };

class AttentionDescriptor final : public Descriptor {
 public:
  DType dtype = DType::f32;
  AttentionLayout layout = AttentionLayout::bhsd;
  std::int64_t heads = 0, kv_heads = 0;  // packed only: else 0
  AttentionCompute compute = AttentionCompute::plain;
  AttentionMask mask = AttentionMask::none;
  double scale = 1.0;
  AttentionBlind blind = AttentionBlind::zero;
  bool causal = false;

  std::string_view family() const override { return "attention"; }
  void fields(FieldVisitor& visitor) override;
  Status validate() const override;
  std::unique_ptr<Descriptor> clone() const override { return std::make_unique<AttentionDescriptor>(*this); }
};

}  // namespace intaglio::ops
