// New shapes on one context of a model whose inputs are all [batch, tokens] of i64, as an encoder's are: how long they
// take to be bound, what is resident after many, and what runs allocate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "intaglio/intaglio.h"

namespace intaglio::bench {

struct ShapeRange {
  std::int64_t most_batch = 8, most_tokens = 512;
};

// Microseconds until Context::prepare has bound a shape that it had not seen: every shape of the range once, in random
// order, on a fresh context in each round, its growing arena included. One time per shape, the median over rounds.
std::vector<double> bind_times(const Model& model, const ShapeRange& range, int rounds);

struct ManyShapes {
  std::size_t shapes = 0, runs = 0;
  // Of the shapes that came right after a run, when the caches hold its weights. Very few were bound before.
  std::vector<double> bind_us;
  double largest_mb = 0;                      // resident after two runs of the largest shape
  std::vector<double> resident_mb;            // then after each tenth of the shapes
  double arena_mb = 0, largest_arena_mb = 0;  // in the end, and of the largest shape
  std::uint64_t allocations = 0;              // during all runs together
};
// Random shapes of the range one after the other, all bound, `runs` of them run. Token ids are those of the largest
// shape, whose rows of the embedding tables are resident from the first run on.
ManyShapes many_shapes(const Model& model, const ShapeRange& range, std::size_t shapes, std::size_t runs);

}  // namespace intaglio::bench
