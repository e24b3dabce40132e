// Weights packed by one engine, once for all M; and, for cold weights, many copies of them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/gemm/problem.h"

namespace intaglio::bench {

// An engine as the benchmark sees it.
struct Engine {
  std::string name;  // "intaglio", "onednn"
  const ops::Candidate* candidate = nullptr;
  ops::Target target;
};

// How an engine does what a scenario asks: a linear of its own, and what it leaves to passes before and after.
struct Recipe {
  ops::LinearDescriptor linear;
  bool quantise_first = false;  // x in f32 is quantised by a pass
  bool finish = false;          // scales of rows, bias and activation follow in one elementwise pass
  bool requantise = false;      // rows become 8-bit with a scale of their own in a pass
};
Recipe own_recipe(const Weights& weights);
// For an engine that multiplies and has post-operations; the most fused one first.
std::vector<Recipe> peer_recipes(const Weights& weights);

// Room for copies of packed weights; one engine uses one at a time.
class Arena {
 public:
  static Result<Arena> create(std::size_t bytes);
  // Copies blobs into it, aligned to 64; nullopt when there is no room left.
  std::optional<std::vector<ops::Blob>> clone(const std::vector<ops::Blob>& blobs);
  void clear() { used_ = 0; }
  const Buffer& memory() const { return memory_; }

 private:
  Buffer memory_;
  std::size_t used_ = 0;
};

class Layer {
 public:
  // Errors: refusals of the candidate (unsupported), whatever packing fails with.
  static Result<Layer> pack(const Engine& engine, const Recipe& recipe, const Weights& weights);
  // Adds copies until they fill `bytes` of the arena, at least two. Errors: the arena is too small.
  Status make_copies(Arena& arena, std::size_t bytes);
  void drop_copies() { copies_.clear(); }

  const Recipe& recipe() const { return recipe_; }
  // The ops to be run in turn: equal but for the place of their weights, so a binding of one serves all.
  std::vector<const ops::PreparedOp*> turns(bool cold) const;
  ops::PreparedOp::Facts facts() const { return op_->facts(); }
  std::size_t packed_bytes() const { return packed_bytes_; }

 private:
  Engine engine_;
  Recipe recipe_;
  std::vector<ops::Blob> blobs_;
  std::size_t packed_bytes_ = 0;
  std::unique_ptr<ops::PreparedOp> op_;
  std::vector<std::unique_ptr<ops::PreparedOp>> copies_;
};

}  // namespace intaglio::bench
